"""One library in one sync: what is asked of the server, what is compared, what is written.

A full pass lists everything and is the only one that sees what is gone. It believes that only when every page has
arrived, joined to the one before, and the server denies each of the missing items when it is asked for them by key. An
incremental one lists what Plex has touched since the last time and compares the counts: where they differ, something
was removed, and a full pass follows at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from engine.clients.plex_library import Page, PlexLibrary
from engine.plex import recognition, staging, succession
from engine.plex.identity import Traits
from engine.plex.parsing import (
    TYPE_NUMBERS,
    Metadata,
    Row,
    Unreadable,
    fingerprint,
    int_of,
    listed_print,
    row_of,
)
from engine.plex.patience import Patience
from engine.plex.staging import Change, Changes, Prints, Stage
from models.media import MediaItem
from models.plex_library import PlexSection

TYPES = {"movie": ("movie",), "show": ("show", "season", "episode")}
COUNTED = {**{kind: TYPE_NUMBERS[kind] for kind in TYPES}, "artist": 8, "photo": 13}

OVERLAP_SECONDS = (
    120  # of two incremental passes: Plex's clock, and changes that were written while we listed
)
LISTINGS = 3  # of a library that changes while it is listed
SHRINKS_BY = 0.2  # of a library, and it needs a second look
ALWAYS_REMOVED = 3  # items; below this a library is too small for shares


@dataclass
class Report:
    """What a pass did, for the report of the run; `mode` is full, incremental, unchanged or counted."""

    key: str
    title: str
    type: str
    mode: str = "full"
    listed: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    held_back: int = 0
    complete: bool = True
    seconds: float = 0.0
    note: str | None = None

    def shown(self) -> dict[str, Any]:
        """As the row keeps it."""
        return {
            "key": self.key,
            "title": self.title,
            "type": self.type,
            "mode": self.mode,
            "listed": self.listed,
            "created": self.created,
            "updated": self.updated,
            "deleted": self.deleted,
            "unchanged": self.unchanged,
            "heldBack": self.held_back,
            "complete": self.complete,
            "seconds": round(self.seconds, 3),
            "note": self.note,
        }


@dataclass
class Outcome:
    """A pass that has been compared and not been written yet.

    Attributes:
        missing: keys of items that are gone for certain.
        marks: columns of the section's row.
        changed: Plex says that something in the library changed since the last pass.
    """

    report: Report
    missing: list[str] = field(default_factory=list)
    marks: dict[str, Any] = field(default_factory=dict)
    changed: bool = True


class Asking:
    """What every pass asks of the server and the catalogue.

    Args:
        library: the server.
        patience: waits for it.
        stage: where what differs is put.
        server_id: of the server.
    """

    def __init__(self, library: PlexLibrary, patience: Patience, stage: Stage, server_id: str) -> None:
        self.library, self.patience, self.stage, self.server_id = library, patience, stage, server_id

    def items(self, keys: Sequence[str]) -> list[Metadata]:
        """The items with these keys; those that are gone are missing."""
        return self.patience.call(self.library.items, keys) if keys else []

    def denied(self, keys: Sequence[str]) -> list[str]:
        """Which of these keys the server does not know, asked for each of them."""
        there = {str(item.get("ratingKey")) for item in self.items(keys)}
        return [key for key in keys if key not in there]

    def replaced(self, present: Collection[str]) -> list[Traits]:
        """Items that are newly staged ones by now: the server does not have them any more under their key."""
        return recognition.seek(self.stage, self.server_id, self.items, present)

    def contested(self) -> bool:
        """Whether a key that was listed is another item's than before."""
        with Session(self.stage.connection) as db:
            return recognition.contested(db, self.stage, self.server_id)

    def prints(self, *which: ColumnElement[bool]) -> dict[str, Prints]:
        """Keys and fingerprints of live items."""
        columns = MediaItem.rating_key, MediaItem.hash, MediaItem.listed_hash
        query = select(*columns).where(*_live(self.server_id), *which)
        with self.stage.connection.begin():
            return {row[0]: (row[1], row[2]) for row in self.stage.connection.execute(query)}


class SectionPass:
    """One library in one run.

    Args:
        asking: of the run.
        entry: what the server says of the library.
        known: our row of it.
    """

    def __init__(self, asking: Asking, entry: Mapping[str, Any], known: PlexSection) -> None:
        self._asking, self._entry, self._known = asking, entry, known
        self._key, self._type = known.key, known.type
        self._began = time.monotonic()
        self._seen: set[str] = set()
        self._parents: set[str] = set()  # of what is staged
        self._newest = 0
        self._unreadable = 0
        self.report = Report(known.key, known.title, known.type)

    def look(self, *, full: bool) -> Outcome:
        """List what is needed and stage what differs; `full` also confirms deletions that were held back.

        Raises:
            PlexError: the server; nothing has been written.
        """
        if self._type not in TYPES:
            outcome = Outcome(self.report)
            outcome.marks["count"] = self._count(COUNTED.get(self._type, 0)) or 0
            self.report.mode = "counted"
        elif full or self._known.full_at is None:
            outcome = self._all(confirms=full)
        else:
            outcome = self._recent()
        if self._unreadable:
            self._note(f"{self._unreadable} items could not be read and were left as they are.")
        self.report.seconds = time.monotonic() - self._began
        return outcome

    # Incremental

    def _recent(self) -> Outcome:
        mark = max(0, (self._known.updated_mark or 0) - OVERLAP_SECONDS)
        mark_now = int_of(self._entry.get("contentChangedAt"))
        changed = mark_now is None or mark_now != self._known.changed_mark
        self.report.mode = "incremental" if changed else "unchanged"
        for kind in TYPES[self._type]:
            for page in self._listing(
                kind, **{"updatedAt>>": mark}
            ):  # with the `=` of the query: "later than"
                self._stage(page.items, self._prints_of(page.items))
        # An episode that comes or goes need not touch its season and show, whose counts it moves.
        above = self._asking.items(sorted(self._parents - self._seen))
        self._stage(above, self._prints_of(above))
        gone = self._asking.replaced(self._seen)
        # The counts are asked for also where nothing seems to have changed: it costs next to nothing.
        if self._asking.contested() or self._lost(gone, unless_told=changed):
            return self._all(confirms=False)
        return Outcome(self.report, [entry.rating_key for entry in gone], self._marks(), changed)

    def _prints_of(self, items: Sequence[Metadata]) -> Mapping[str, Prints]:
        keys = [str(item.get("ratingKey")) for item in items]
        return self._asking.prints(MediaItem.rating_key.in_(keys)) if keys else {}

    def _lost(self, gone: Sequence[Traits], *, unless_told: bool) -> bool:
        """Whether the server has another number of items than we would have; `unless_told` where it does not say."""
        counts = [self._count(TYPE_NUMBERS[kind]) for kind in TYPES[self._type]]
        if None in counts:
            return unless_told
        with Session(self._asking.stage.connection) as db:
            gained = staging.fresh(db, self._asking.server_id) if self._asking.stage.count else 0
            have = live_count(db, self._asking.server_id, self._key)
        expected = have + gained - sum(entry.section_key == self._key for entry in gone)
        return sum(count or 0 for count in counts) != expected - (self._known.held_back or 0)

    # Full

    def _all(self, *, confirms: bool) -> Outcome:
        known = self._asking.prints(MediaItem.section_key == self._key)
        self.report.mode = "full"
        for _ in range(LISTINGS):
            self._asking.stage.clear()
            self._seen, self._newest, self._unreadable, self.report.listed = set(), 0, 0, 0
            # Every type is listed, also behind one that was not whole: what is there is worth having.
            whole = [self._list_whole(kind, known) for kind in TYPES[self._type]]
            self.report.complete = all(whole)
            if self.report.complete:
                break
        outcome = Outcome(self.report)
        # What came back under another key, here or in another library, is not what a library shrinks by.
        replaced = {entry.rating_key for entry in self._asking.replaced(self._seen)}
        outcome.missing = list(replaced)
        if self.report.complete:
            left = [key for key in known if key not in self._seen and key not in replaced]
            outcome.missing += self._believed(left, len(known), confirms=confirms)
            held = self.report.held_back or None
            outcome.marks = {**self._marks(), "full_at": func.clock_timestamp(), "held_back": held}
        else:
            self._note(
                "It changed while it was listed: nothing was removed, and it is listed again next time."
            )
            outcome.marks = {"full_at": None}
        return outcome

    def _list_whole(self, kind: str, known: Mapping[str, Prints]) -> bool:
        """List all items of a type; whether all of them have been seen. What is of another type counts as told of."""
        before, joined, totals, others = len(self._seen), True, set[int](), 0
        for page in self._listing(kind):
            items = [item for item in page.items if item.get("type", kind) == kind]
            others += len(page.items) - len(items)
            self._stage(items, known)
            joined = joined and page.joined
            if page.total is not None:
                totals.add(page.total)
        return joined and totals <= {len(self._seen) - before + others}

    def _believed(self, missing: list[str], of: int, *, confirms: bool) -> list[str]:
        """What may be removed: all that the server denies, or nothing where that is suspiciously much."""
        least = max(ALWAYS_REMOVED, SHRINKS_BY * of)
        held = self._known.held_back or 0
        if len(missing) > least and not (confirms and held and len(missing) <= held + least):
            self.report.held_back = len(missing)
            self._note(
                f"{len(missing)} of {of} items are not listed any more. That is so many that they are only "
                "removed if the next full sync finds the same."
            )
            return []
        return self._asking.denied(missing)

    # Both

    def _listing(self, kind: str, **query: Any) -> Iterator[Page]:
        return self._asking.patience.each(
            self._asking.library.listing(self._key, TYPE_NUMBERS[kind], **query)
        )

    def _count(self, number: int) -> int | None:
        count = self._asking.library.count
        return self._asking.patience.call(count, self._key, number) if number else None

    def _stage(self, items: Sequence[Metadata], known: Mapping[str, Prints]) -> None:
        """Stage what is new or has changed, and what has not been seen in this listing: a server may repeat itself."""
        differing: list[tuple[Row, Prints]] = []
        reworded: dict[str, Prints] = {}
        now, seen, key = time.time(), self._seen, self._key
        for item in items:
            listed, name = listed_print(key, item), str(item.get("ratingKey"))
            before = known.get(name)
            if before is not None and before[1] == listed and name not in seen:
                self._saw(name, int_of(item.get("updatedAt")), now)
                continue
            try:
                row = row_of(item)
            except Unreadable as error:
                seen.add(str(error))
                self._unreadable += 1
                continue
            if row is None or row.rating_key in seen:
                continue
            self._saw(row.rating_key, row.updated_at, now)
            prints = fingerprint(key, row), listed
            if before is not None and before[0] == prints[0]:
                reworded[row.rating_key] = prints
                continue
            differing.append((row, prints))
            self._parents.update(above for above in (row.parent_key, row.grandparent_key) if above)
        self._asking.stage.add(key, differing)
        self._asking.stage.recognise(self._asking.server_id, reworded)

    def _saw(self, key: str, updated_at: int | None, now: float) -> None:
        self._seen.add(key)
        self.report.listed += 1
        if self._newest < (updated_at or 0) <= now:  # one of the future would hide all that follows
            self._newest = updated_at or 0

    def _marks(self) -> dict[str, Any]:
        """What the next pass starts from."""
        return {
            "changed_mark": int_of(self._entry.get("contentChangedAt")),
            "updated_mark": max(self._newest, self._known.updated_mark or 0),
        }

    def _note(self, text: str) -> None:
        self.report.note = f"{self.report.note} {text}" if self.report.note else text


def live_count(db: Session, server_id: str, section_key: str) -> int:
    """How many live items of all types a library has; they are counted where nobody has yet."""
    mine = PlexSection.server_id == server_id, PlexSection.key == section_key
    counted = db.scalar(select(PlexSection.items).where(*mine))
    if counted is not None:
        return counted
    query = select(func.count()).select_from(MediaItem)
    return db.scalar(query.where(*_live(server_id), MediaItem.section_key == section_key)) or 0


def _live(server_id: str) -> tuple[ColumnElement[bool], ...]:
    return MediaItem.server_id == server_id, MediaItem.deleted_at.is_(None)


def write(
    db: Session, stage: Stage, server_id: str, outcome: Outcome, check: Callable[[], None] = lambda: None
) -> list[Changes]:
    """Write a pass into the catalogue, within the caller's transaction; returns what was added, updated, removed.

    `check` is called now and then, and may raise to give up.
    """
    kept = recognition.keep(db, stage, server_id, set(outcome.missing))
    moves, removed = bool(kept.ids) or staging.moves(db, stage, server_id), kept.removed
    added, updated = staging.merge(db, stage, server_id, check)
    gone = [key for key in outcome.missing if key not in kept.old_keys]
    for changes, more in zip(
        (updated, removed), succession.settle(db, stage, server_id, gone, kept.lost), strict=True
    ):
        changes.total += more.total
        changes.first += more.first
    staging.remove(db, server_id, gone, removed)
    if moves or added.total or removed.total:
        staging.count(db, server_id)
    updated.first = [_renamed(change, kept) for change in updated.first]
    report = outcome.report
    report.created, report.updated, report.deleted = added.total, updated.total, removed.total
    report.unchanged = max(0, report.listed - added.total - updated.total)
    return [added, updated, removed]


def _renamed(change: Change, kept: recognition.Kept) -> Change:
    if change.item_id not in kept.ids:
        return change
    return replace(change, kind="restored" if change.item_id in kept.restored else "moved")
