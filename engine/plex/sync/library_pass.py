"""The pass over one library in one sync: list, compare, stage, write.

A full pass lists everything and is the only one that detects removals. A removal counts only when every page has
arrived and joins the one before, and the server answers 404 for each missing item by its key. An incremental pass
lists what changed since the last one and compares the counts: where they differ, something was removed, and a full
pass follows at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine.clients.plex.paging import AT_ONCE, ListingPage, key_of
from engine.plex.answers.items import read
from engine.plex.answers.parsing import (
    TYPE_NUMBERS,
    Metadata,
    Row,
    Unreadable,
    int_of,
    is_ahead,
    listed_print,
)
from engine.plex.recognition import recognition, staging, succession
from engine.plex.recognition.matching import Traits
from engine.plex.recognition.staging import Change, Changes, Prints, StagingTable
from engine.plex.sync.asking import LOCAL, Asking, live
from models.media import MediaItem
from models.plex_library import PlexSection

TYPES = {"movie": ("movie",), "show": ("show", "season", "episode")}
COUNTED = {**{kind: TYPE_NUMBERS[kind] for kind in TYPES}, "artist": 8, "photo": 13}

OVERLAP_SECONDS = 120  # that incremental passes overlap: clock skew, and changes during the listing
LISTINGS = 3  # attempts at listing a library that changes meanwhile, or whose order does
MOST_AT_ONCE = 20_000  # items up to which a library is listed in one page, where its pages do not join
SHRINKS_BY = 0.2  # share of a library that, missing, needs to be confirmed by a second pass
FAILED = "failed"  # the mode of a library that could not be read
ALWAYS_REMOVED = 3  # items; below this a library is too small for shares


@dataclass
class LibraryReport:
    """The report of a pass; `mode` is full, incremental, unchanged, counted, gone or failed."""

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

    def add_note(self, text: str) -> None:
        """Append a note."""
        self.note = f"{self.note} {text}" if self.note else text

    def shown(self) -> dict[str, Any]:
        """As JSON, for the run's row."""
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
class PassOutcome:
    """The result of a pass that is staged and not yet written.

    Attributes:
        missing: keys of confirmed removals.
        marks: columns of the section's row.
        changed: Plex says that something in the library changed since the last pass.
    """

    report: LibraryReport
    missing: list[str] = field(default_factory=list)
    marks: dict[str, Any] = field(default_factory=dict)
    changed: bool = True


class SectionPass:
    """One library in one run.

    Args:
        asking: of the run.
        entry: the library's `Directory` entry.
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
        self.report = LibraryReport(known.key, known.title, known.type)

    def look(self, *, full: bool) -> PassOutcome:
        """List what is needed and stage the differences; `full` also confirms deletions that were held back.

        Raises:
            PlexError: the server; nothing has been written.
        """
        silent = set(self._asking.silent)
        if self._type not in TYPES:
            outcome = PassOutcome(self.report)
            outcome.marks["count"] = self._count(COUNTED.get(self._type, 0)) or 0
            self.report.mode = "counted"
        elif full or self._known.full_at is None:
            outcome = self._all(confirms=full)
        else:
            outcome = self._recent()
        if self._unreadable:
            self.report.add_note(f"{self._unreadable} items could not be read and were left as they are.")
        if self._asking.silent - silent:
            self.report.add_note(
                f"{len(self._asking.silent - silent)} items got no answer and were left as they are."
            )
        self.report.seconds = time.monotonic() - self._began
        return outcome

    # Incremental

    def _recent(self) -> PassOutcome:
        mark = max(0, (self._known.updated_mark or 0) - OVERLAP_SECONDS)
        mark_now = int_of(self._entry.get("contentChangedAt"))
        changed = mark_now is None or mark_now != self._known.changed_mark
        self.report.mode = "incremental" if changed else "unchanged"
        whole = True
        for kind in TYPES[self._type]:
            for page in self._listing(
                kind, **{"updatedAt>>": mark}
            ):  # with the `=` of the query: "later than"
                self._stage(page.items, self._prints_of(page.items))
                whole = whole and page.joined
        # A new or removed episode need not update its season and show, whose counts change.
        above = self._asking.items(sorted(self._parents - self._seen))
        self._stage(above, self._prints_of(above))
        gone = self._asking.replaced(self._seen)
        # Counted even where nothing seems to have changed: it is cheap.
        if not whole or self._asking.contested() or self._lost(gone, unless_told=changed):
            return self._all(confirms=False)
        return PassOutcome(self.report, [entry.rating_key for entry in gone], self._marks(), changed)

    def _prints_of(self, items: Sequence[Metadata]) -> Mapping[str, Prints]:
        keys = [key for item in items if (key := key_of(item))]
        return self._asking.prints(MediaItem.rating_key.in_(keys)) if keys else {}

    def _lost(self, gone: Sequence[Traits], *, unless_told: bool) -> bool:
        """Whether the server's count differs from what ours would be; `unless_told` where it gives none."""
        counts = [self._count(TYPE_NUMBERS[kind]) for kind in TYPES[self._type]]
        if None in counts:
            return unless_told
        with Session(self._asking.stage.connection) as db:
            gained = staging.fresh(db, self._asking.server_id) if self._asking.stage.count else 0
            have = live_count(db, self._asking.server_id, self._key)
        expected = have + gained - sum(entry.section_key == self._key for entry in gone)
        return sum(count or 0 for count in counts) != expected - (self._known.held_back or 0)

    # Full

    def _all(self, *, confirms: bool) -> PassOutcome:
        known = self._asking.prints(MediaItem.section_key == self._key)
        self.report.mode = "full"
        for number in range(LISTINGS):
            self._asking.stage.clear()
            at_once = number == 1 and self.report.listed <= MOST_AT_ONCE
            self._seen, self._newest, self._unreadable, self.report.listed = set(), 0, 0, 0
            self.report.complete = self._list_all(known, AT_ONCE if at_once else None)
            if self.report.complete:
                break
        outcome = PassOutcome(self.report)
        # Items that came back under another key, here or in another library, don't count as removed.
        replaced = {entry.rating_key for entry in self._asking.replaced(self._seen)}
        outcome.missing = list(replaced)
        if self.report.complete:
            left = [key for key in known if key not in self._seen and key not in replaced]
            outcome.missing += self._believed(left, len(known), confirms=confirms)
            held = self.report.held_back or None
            outcome.marks = {**self._marks(), "full_at": func.clock_timestamp(), "held_back": held}
        else:
            self.report.add_note(
                "It changed while it was listed: nothing was removed, and it is listed again next time."
            )
            outcome.marks = {"full_at": None}
        return outcome

    def _list_all(self, known: Mapping[str, Prints], size: int | None) -> bool:
        """List all items of all types, in pages of `size`; True if the listing is complete.

        A single page has no order that could change between pages; not every server can produce it.
        """
        try:
            # Every type is listed, even after an incomplete one: its items are still staged.
            whole = [self._list_whole(kind, known, size) for kind in TYPES[self._type]]
        except LOCAL:
            if size is None:
                raise
            return False
        return all(whole)

    def _list_whole(self, kind: str, known: Mapping[str, Prints], size: int | None) -> bool:
        """List all items of a type; True if the listing is complete.

        Entries of another type, without a key, or repeated within a page count towards the total.
        """
        before, joined, totals, others = len(self._seen), True, set[int](), 0
        for page in self._listing(kind, size):
            items = [item for item in page.items if item.get("type", kind) == kind]
            others += len(page.items) - len({key for item in items if (key := key_of(item)) is not None})
            self._stage(items, known)
            joined = joined and page.joined
            if page.total is not None:
                totals.add(page.total)
        return joined and totals <= {len(self._seen) - before + others}

    def _believed(self, missing: list[str], of: int, *, confirms: bool) -> list[str]:
        """The confirmed removals, or none where they are suspiciously many."""
        least = max(ALWAYS_REMOVED, SHRINKS_BY * of)
        held = self._known.held_back or 0
        if len(missing) > least and not (confirms and held and len(missing) <= held + least):
            self.report.held_back = len(missing)
            self.report.add_note(
                f"{len(missing)} of {of} items are not listed any more. That is so many that they are only "
                "removed if the next full sync finds the same."
            )
            return []
        return self._asking.denied(missing)

    # Both

    def _listing(self, kind: str, size: int | None = None, **query: Any) -> Iterator[ListingPage]:
        return self._asking.calls.each(
            self._asking.library.listing(self._key, TYPE_NUMBERS[kind], size, **query)
        )

    def _count(self, number: int) -> int | None:
        count = self._asking.library.count
        return self._asking.calls.call(count, self._key, number) if number else None

    def _stage(self, items: Sequence[Metadata], known: Mapping[str, Prints]) -> None:
        """Stage new and changed items, each once: a server may repeat entries."""
        differing: list[tuple[Row, Prints]] = []
        reworded: dict[str, Prints] = {}
        now, seen, key = time.time(), self._seen, self._key
        for item in items:
            name = key_of(item)
            if name is None:
                self._unreadable += 1
                continue
            try:
                listed = listed_print(key, item)
                before = known.get(name)
                if before is not None and before[1] == listed and name not in seen:
                    self._saw(name, int_of(item.get("updatedAt")), now)
                    continue
                found = read(key, item)
            except (Unreadable, TypeError):  # the latter of `listed_print`
                seen.add(name)
                self._unreadable += 1
                continue
            if name in seen:
                continue
            if found is None:
                seen.add(name)
                self._unreadable += not item.get("type")
                continue
            # An item with a future date is read again until it is past: its listed entry does not change then.
            row, prints = found[0], (found[1], None if is_ahead(item) else listed)
            self._saw(row.rating_key, row.updated_at, now)
            if before is not None and before[0] == prints[0]:
                if before[1] != prints[1]:
                    reworded[row.rating_key] = prints
                continue
            differing.append((row, prints))
            self._parents.update(above for above in (row.parent_key, row.grandparent_key) if above)
        self._asking.stage.add(key, differing)
        self._asking.stage.recognise(self._asking.server_id, reworded)

    def _saw(self, key: str, updated_at: int | None, now: float) -> None:
        self._seen.add(key)
        self.report.listed += 1
        if self._newest < (updated_at or 0) <= now:  # a future one would hide all later changes
            self._newest = updated_at or 0

    def _marks(self) -> dict[str, Any]:
        """The marks from which the next pass starts."""
        return {
            "changed_mark": int_of(self._entry.get("contentChangedAt")),
            "updated_mark": max(self._newest, self._known.updated_mark or 0),
        }


def live_count(db: Session, server_id: str, section_key: str) -> int:
    """The number of live items of a library; counted where it is not stored yet."""
    mine = PlexSection.server_id == server_id, PlexSection.key == section_key
    counted = db.scalar(select(PlexSection.items).where(*mine))
    if counted is not None:
        return counted
    query = select(func.count()).select_from(MediaItem)
    return db.scalar(query.where(*live(server_id), MediaItem.section_key == section_key)) or 0


def write(
    db: Session,
    stage: StagingTable,
    server_id: str,
    outcome: PassOutcome,
    check: Callable[[], None] = lambda: None,
) -> list[Changes]:
    """Merge a pass into the catalogue, within the caller's transaction; returns what was added, updated, removed.

    `check` is called between statements, and may raise to abort.
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


def _renamed(change: Change, kept: recognition.KeptItems) -> Change:
    if change.item_id not in kept.ids:
        return change
    return replace(change, kind="restored" if change.item_id in kept.restored else "moved")
