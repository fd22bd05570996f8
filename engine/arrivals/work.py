"""The work of an arrival: one look whether Plex has the file yet; between two looks the row waits, not a worker.

A look that does not find the file has its folder scanned, once for all files that came into it meanwhile. While
Plex is away nothing counts; once it is back there is a scan and a whole look before anybody is told that it failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.arrivals import arrivals
from engine.arrivals import reasons as arrival_reasons
from engine.arrivals.reasons import said
from engine.arrivals.search import Item, Search, scan
from engine.clients.plex.errors import PlexError
from engine.errors import ServiceUnavailable
from engine.job_names import Job
from engine.jobs import lease
from engine.jobs.kinds import JobKind, longest_due
from engine.jobs.lease import CancelRequested
from engine.jobs.runner import Attempt, GiveUp, Retry
from engine.plex.answers.parsing import TYPE_NUMBERS
from engine.plex.server import connection, libraries, paths
from engine.plex.server.connection import PlexConnection
from engine.plex.server.paths import FileInLibrary
from engine.plex.sync import runs as sync
from engine.plex.sync.leased_calls import LeasedCalls
from engine.stores import locks
from models.download import Download
from models.media import MediaItem
from models.plex_arrival import PlexArrival

log = structlog.get_logger(__name__)

BETWEEN_SCANS = timedelta(seconds=10)  # of one folder
SCANNED_AGAIN = timedelta(seconds=60)  # a scan may be lost when Plex restarts
AFTER_SCAN = timedelta(seconds=30)  # nobody gives up sooner
AFTER_OUTAGE = timedelta(minutes=2)
FOR_THE_CATALOGUE = timedelta(seconds=60)
LONGEST = timedelta(hours=24)
SOONEST_LOOK, LATEST_LOOK = 2.0, 30.0  # seconds between two

_LATELY = 500  # arrivals among which a scan of the last seconds is looked for


def _of_completed_downloads(db: Session, settings: Settings) -> Sequence[ColumnElement[bool]]:
    """The row is there a moment before its download is completed."""
    completed = select(Download.id).where(
        Download.id == PlexArrival.download_id, Download.status == "completed"
    )
    return [completed.exists()]


ARRIVE = JobKind(
    job=Job.ARRIVE,
    model=PlexArrival,
    running="running",
    limits=_of_completed_downloads,
    first=longest_due,
    changed=arrivals.changed,
)


def work(attempt: Attempt[PlexArrival]) -> Mapping[str, Any]:
    """Look once; returns the columns of the row of a file that Plex has.

    Raises:
        Retry: not yet, or Plex can't be reached; never counted.
        GiveUp: it was looked for long enough.
        CancelRequested: there is no Plex any more, or the file does not lie in one of its libraries.
        Fenced, ShuttingDown: see `engine.jobs`.
    """
    runtime = attempt.runtime
    with runtime.unit_of_work() as db:
        now = db.execute(select(func.clock_timestamp())).scalar_one()
        download = db.get(Download, attempt.row.download_id)
        try:
            configured = connection.configured(db, runtime.settings)
        except ServiceUnavailable as error:
            raise _away(attempt, now, "not_configured", error.message) from error
    if configured is None or download is None or download.file is None:
        raise CancelRequested
    library = configured.library()
    try:
        search = Search(attempt, configured, library, download)
        return _ArrivalCheck(attempt, configured, search, now).go()
    except PlexError as error:
        with runtime.unit_of_work() as db:
            libraries.failed(db, configured, error)
        raise _away(attempt, now, error.kind, str(error)) from error
    finally:
        library.close()


def removed(attempt: Attempt[Any], path: str) -> None:
    """A finished file has been removed: have Plex look into its folder, so that it drops what is gone.

    Args:
        attempt: whose lease is kept meanwhile.
        path: of the file, below `DOWNLOAD_DIR`.

    Raises:
        PlexError: it can't be reached.
        Fenced, CancelRequested, ShuttingDown: see `engine.jobs`.
    """
    runtime = attempt.runtime
    with runtime.unit_of_work() as db:
        try:
            configured = connection.configured(db, runtime.settings)
        except ServiceUnavailable:
            return
    if configured is None:
        return
    library, calls = configured.library(), LeasedCalls(attempt)
    try:
        sections = calls.call(library.libraries).entries
        for place in paths.places(str(runtime.settings.download_dir / path), sections, configured.paths):
            calls.call(scan, configured, place)
    finally:
        library.close()


class _ArrivalCheck:
    """One look, and what follows from it."""

    def __init__(
        self, attempt: Attempt[PlexArrival], configured: PlexConnection, search: Search, now: datetime
    ) -> None:
        self._attempt, self._configured, self._search = attempt, configured, search
        self._row, self._now, self._runtime = attempt.row, now, attempt.runtime

    def go(self) -> Mapping[str, Any]:
        places = self._search.places()
        if not places:
            self._attempt.write(server_id=self._search.server_id, error=said(*arrival_reasons.OUTSIDE))
            raise CancelRequested
        for place in places:
            item = self._search.item(place)
            if item is not None:
                return self._arrived(place, item)
        scanned_at = self._scanned(places)
        if self._now < self._row.deadline or scanned_at is None or self._now - scanned_at < AFTER_SCAN:
            raise self._later()
        if any(map(_is_scanned_now, places)) and self._now - self._row.created_at < LONGEST:
            self._attempt.write(deadline=self._now + AFTER_SCAN)  # our folder may come after others
            raise self._later()
        raise GiveUp(self._search.why_not(places[0]))

    def _arrived(self, place: FileInLibrary, item: Item) -> Mapping[str, Any]:
        """It is there: complete the row once the catalogue has it too."""
        row, key, server_id = self._row, str(item["ratingKey"]), self._search.server_id
        values: dict[str, Any] = {
            "server_id": server_id,
            "section_key": str(item.get("librarySectionID") or place.section["key"]),
            "path": place.path,
            "rating_key": key,
        }
        mine = (MediaItem.server_id == server_id, MediaItem.rating_key == key, MediaItem.deleted_at.is_(None))
        with self._runtime.unit_of_work() as db:
            known = db.scalars(select(MediaItem).where(*mine)).first()
            listed = known is not None and _lists(known, place.path)
            asked = row.rating_key == key
            if listed or item.get("type") not in TYPE_NUMBERS or (asked and self._now >= row.deadline):
                return {**values, "item_id": known and known.id}
            if not asked:
                sync.start(db, full=False, trigger="push", rating_keys=[key])
                values["deadline"] = self._now + FOR_THE_CATALOGUE
                lease.write(db, ARRIVE, row, unless_cancelled=True, **values)
        raise Retry(said(*arrival_reasons.CATALOGUE), 1.0, counts=False)

    def _scanned(self, places: Sequence[FileInLibrary]) -> datetime | None:
        """Have the folder scanned where that is due; returns when it was last, since the file came."""
        row, first = self._row, places[0]
        with self._runtime.unit_of_work() as db:
            locks.hold(db, locks.Lock.ARRIVAL_SCANS)  # of two looks one scans
            latest = self._latest_scan(db, first)
            mine = [time for time in (latest, row.scanned_at) if time is not None and time >= row.created_at]
            due = self._is_due(latest, max(mine, default=None))
            scanned_at = self._now if due else max(mine, default=None)
            values = {"server_id": self._search.server_id, "section_key": str(first.section["key"])}
            values["path"] = first.path
            lease.write(
                db, ARRIVE, row, unless_cancelled=True, scanned_at=scanned_at, rating_key=None, **values
            )
        if due:
            calls = LeasedCalls(self._attempt)
            for place in places:
                calls.call(scan, self._configured, place)
            log.info("arrival.scanned", section=str(first.section["key"]))
        return scanned_at

    def _is_due(self, latest: datetime | None, mine: datetime | None) -> bool:
        """Whether to scan now: for us, and without asking too much of Plex."""
        if latest is not None and self._now - latest < BETWEEN_SCANS:
            return False
        return mine is None or (self._now < self._row.deadline and self._now - mine >= SCANNED_AGAIN)

    def _latest_scan(self, db: Session, place: FileInLibrary) -> datetime | None:
        """When the folder was scanned last, for whichever file; scans of long ago are not looked for."""
        newest = (
            select(PlexArrival.server_id, PlexArrival.path, PlexArrival.scanned_at)
            .order_by(PlexArrival.id.desc())
            .limit(_LATELY)
            .subquery()
        )
        lately = select(newest.c.path, newest.c.scanned_at).where(
            newest.c.server_id == self._search.server_id, newest.c.scanned_at > self._now - SCANNED_AGAIN
        )
        times = [at for path, at in db.execute(lately) if paths.same(paths.folder(path), place.folder)]
        return max(times, default=None)

    def _later(self) -> Retry:
        return Retry(said(*arrival_reasons.SCANNING), _pause(self._now - self._row.created_at), counts=False)


def _away(attempt: Attempt[PlexArrival], now: datetime, kind: str, message: str) -> Retry | GiveUp:
    """Nobody can look: the time does not count, and what was scanned may be lost."""
    row = attempt.row
    age = now - row.created_at
    if age >= LONGEST:
        return GiveUp(said(kind, message, arrival_reasons.GIVEN_UP))
    attempt.write(deadline=max(row.deadline, now + AFTER_OUTAGE), scanned_at=None)
    return Retry(said(kind, message, arrival_reasons.AWAY, retryable=True), _pause(age), counts=False)


def _pause(age: timedelta) -> float:
    """Seconds until the next look: soon at first, then less often."""
    return min(LATEST_LOOK, max(SOONEST_LOOK, age.total_seconds() / 4))


def _is_scanned_now(place: FileInLibrary) -> bool:
    return str(place.section.get("refreshing")).lower() in {"1", "true"}


def _lists(known: MediaItem, path: str) -> bool:
    """Whether the catalogue's item has the file too."""
    listed = [part.get("file") for version in known.files or () for part in version.get("parts") or ()]
    return any(paths.same(str(file), path) for file in listed if file)
