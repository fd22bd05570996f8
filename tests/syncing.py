"""Syncs with the doubled Plex server in this process, and the comparison of its library with our catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.jobs.runner import run_next
from engine.plex.answers.parsing import fingerprint, row_of
from engine.plex.sync import runs as sync
from engine.plex.sync import work as sync_work
from engine.runtime import Runtime
from engine.secrets import secret_box
from models.integration import Integration
from models.media import MediaItem
from models.sync_run import SyncChange, SyncRun
from tests.fakes.plex_server import Library, PlexDouble
from tests.fakes.plex_server.items import Item
from tests.fakes.plex_server.shapes import item as shaped

KINDS = ("movie", "show", "season", "episode")


def expected(library: Library) -> dict[str, tuple[Any, ...]]:
    """What the catalogue has to hold, by rating key."""
    with library.lock:
        return {one.rating_key: _told(library, one) for one in library.items.values() if one.kind in KINDS}


def _told(library: Library, one: Item) -> tuple[Any, ...]:
    section, row = str(one.section.key), row_of(shaped(one, library.owner, guids=True))
    assert row is not None
    parent = None if one.parent is None else one.parent.rating_key
    file = one.versions[0].files[0] if one.versions else None
    return (section, one.kind, one.title, parent, one.guid, file, fingerprint(section, row))


def catalogue(runtime: Runtime) -> dict[str, tuple[Any, ...]]:
    """What the catalogue holds, in the same words."""
    item = MediaItem
    columns = (
        item.rating_key, item.section_key, item.type, item.title, item.parent_key, item.guid, item.file, item.hash
    )  # fmt: skip
    with runtime.reading() as db:
        found = db.execute(select(*columns).where(item.deleted_at.is_(None))).all()
    rows = {row[0]: tuple(row[1:]) for row in found}
    assert len(rows) == len(found), "an item is there twice"
    return rows


def assert_in_step(runtime: Runtime, library: Library) -> None:
    """The catalogue is what the library is: nothing lost, nothing doubled, nothing stale."""
    ours, theirs = catalogue(runtime), expected(library)
    left, lost = ours.keys() - theirs.keys(), theirs.keys() - ours.keys()
    assert not left, f"these are gone from Plex: {left}"
    assert not lost, f"these are not in the catalogue: {lost}"
    wrong = [(row, theirs[key]) for key, row in ours.items() if row != theirs[key]]
    assert not wrong, f"{len(wrong)} are not as in Plex, such as {wrong[0]}"


class Syncing:
    """A runtime and a double, and what tests do with both."""

    def __init__(self, runtime: Runtime, plex: PlexDouble) -> None:
        self.runtime, self.plex = runtime, plex

    @property
    def library(self) -> Library:
        return self.plex.library

    def start(self, full: bool = False, **more: Any) -> SyncRun:
        with self.runtime.unit_of_work() as db:
            return sync.start(db, full=full, trigger="manual", **more)[0]

    def sync(self, full: bool = False, **more: Any) -> SyncRun:
        """Start a sync and run it until it has ended, its attempts without pauses."""
        run = self.start(full, **more)
        while (row := self.row(run.id)).ended_at is None:
            self.attempt()
        return row

    def attempt(self) -> bool:
        """One attempt at what waits."""
        with self.runtime.unit_of_work() as db:
            db.execute(text("UPDATE sync_runs SET next_run_at = clock_timestamp() WHERE ended_at IS NULL"))
        return run_next(self.runtime, sync_work.SYNC, sync_work.work)

    def row(self, sync_id: str) -> SyncRun:
        with self.runtime.unit_of_work() as db:
            return sync.get(db, sync_id)

    def changes(self, run: SyncRun) -> list[tuple[str, str]]:
        """Kind and title of what a run did."""
        with self.runtime.unit_of_work() as db:
            query = select(SyncChange.kind, SyncChange.title).where(SyncChange.sync_id == run.id)
            return list(db.execute(query.order_by(SyncChange.id)).all())

    def ids(self) -> dict[str, str]:
        """Ids of the live items by rating key."""
        with self.runtime.reading() as db:
            query = select(MediaItem.rating_key, MediaItem.id).where(MediaItem.deleted_at.is_(None))
            return dict(db.execute(query).all())

    def id_of(self, item: Item) -> str:
        return self.ids()[item.rating_key]

    def id_of_after(self, item: Item) -> str:
        """Its id once it was synced."""
        self.sync()
        return self.id_of(item)

    def in_step(self) -> None:
        assert_in_step(self.runtime, self.library)

    def section(self, run: SyncRun, title: str) -> dict[str, Any]:
        """The line of a library in a report."""
        return next(line for line in run.sections if line["title"] == title)


@contextmanager
def syncing(runtime: Runtime) -> Iterator[Syncing]:
    """A double that an admin has connected."""
    with PlexDouble() as plex:
        with runtime.unit_of_work() as db:
            connect(db, runtime.settings, plex)
        yield Syncing(runtime, plex)


def connect(db: Session, settings: Settings, plex: PlexDouble) -> None:
    """Configure that server as an admin does who chose it from his account."""
    token = secret_box.sealed(settings, plex.token)
    options = {"machineIdentifier": plex.machine_id}
    db.add(Integration(name="plex", url=plex.url, token=token, options=options, updated_at=func.now()))
