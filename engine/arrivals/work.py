"""The arrival job: one check whether Plex has the file yet; between checks the row waits and occupies no worker.

A check that doesn't find the file has its folder scanned, once for all new files in it. Time during which Plex can't
be reached doesn't count: afterwards there is a scan and another check before the arrival is given up.
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
from engine.arrivals.reasons import as_reason
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
from models.download import Download
from models.media import MediaItem
from models.plex_arrival import PlexArrival

log = structlog.get_logger(__name__)

MIN_SCAN_INTERVAL = timedelta(seconds=10)  # per folder
RESCAN_AFTER = timedelta(seconds=60)  # a scan may be lost when Plex restarts
MIN_WAIT_AFTER_SCAN = timedelta(seconds=30)  # before giving up
MIN_WAIT_AFTER_OUTAGE = timedelta(minutes=2)
CATALOGUE_WAIT = timedelta(seconds=60)
MAX_AGE = timedelta(hours=24)
MIN_PAUSE, MAX_PAUSE = 2.0, 30.0  # seconds between two checks

_LOCK = 7_240_416  # key of the advisory lock; any number that nothing else uses
_RECENT_ARRIVALS = 500  # the newest arrivals, among which recent scans of a folder are looked up


def _of_completed_downloads(db: Session, settings: Settings) -> Sequence[ColumnElement[bool]]:
    """WHERE condition: the download is completed. The arrival is inserted a moment before."""
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
    """Check once; returns the columns of the completed row if Plex has the file.

    Raises:
        Retry: Plex doesn't have it yet, or can't be reached; never counted as an attempt.
        GiveUp: the deadline has passed, or Plex could not be reached for `MAX_AGE`.
        CancelRequested: no Plex server is configured any more, or the file is in none of its libraries.
        Fenced, ShuttingDown: see `engine.jobs`.
    """
    runtime = attempt.runtime
    with runtime.unit_of_work() as db:
        now = db.execute(select(func.clock_timestamp())).scalar_one()
        download = db.get(Download, attempt.row.download_id)
        try:
            configured = connection.configured(db, runtime.settings)
        except ServiceUnavailable as error:
            raise _plex_unavailable(attempt, now, "not_configured", error.message) from error
    if configured is None or download is None or download.file is None:
        raise CancelRequested
    library = configured.library()
    try:
        search = Search(attempt, configured, library, download)
        return _ArrivalCheck(attempt, configured, search, now).run()
    except PlexError as error:
        with runtime.unit_of_work() as db:
            libraries.failed(db, configured, error)
        raise _plex_unavailable(attempt, now, error.kind, str(error)) from error
    finally:
        library.close()


def scan_after_removal(attempt: Attempt[Any], path: str) -> None:
    """Have Plex scan the folder of a file that was removed, so that it drops the item.

    Args:
        attempt: its lease is renewed during requests.
        path: of the file, relative to `DOWNLOAD_DIR`.

    Raises:
        PlexError: Plex can't be reached.
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
    """One check, and what follows from it."""

    def __init__(
        self, attempt: Attempt[PlexArrival], configured: PlexConnection, search: Search, now: datetime
    ) -> None:
        self._attempt, self._configured, self._search = attempt, configured, search
        self._row, self._now, self._runtime = attempt.row, now, attempt.runtime

    def run(self) -> Mapping[str, Any]:
        places = self._search.places()
        if not places:
            self._attempt.write(server_id=self._search.server_id, error=as_reason(*arrival_reasons.OUTSIDE))
            raise CancelRequested
        for place in places:
            item = self._search.item(place)
            if item is not None:
                return self._found(place, item)
        scanned_at = self._scan_if_due(places)
        if (
            self._now < self._row.deadline
            or scanned_at is None
            or self._now - scanned_at < MIN_WAIT_AFTER_SCAN
        ):
            raise self._retry_later()
        if any(map(_is_scanned_now, places)) and self._now - self._row.created_at < MAX_AGE:
            self._attempt.write(deadline=self._now + MIN_WAIT_AFTER_SCAN)  # our folder may be scanned last
            raise self._retry_later()
        raise GiveUp(self._search.why_not(places[0]))

    def _found(self, place: FileInLibrary, item: Item) -> Mapping[str, Any]:
        """Plex has the file: complete the row once the catalogue has the item too."""
        row, key, server_id = self._row, str(item["ratingKey"]), self._search.server_id
        values: dict[str, Any] = {
            "server_id": server_id,
            "section_key": str(item.get("librarySectionID") or place.section["key"]),
            "path": place.path,
            "rating_key": key,
        }
        same = (MediaItem.server_id == server_id, MediaItem.rating_key == key, MediaItem.deleted_at.is_(None))
        with self._runtime.unit_of_work() as db:
            known = db.scalars(select(MediaItem).where(*same)).first()
            listed = known is not None and _has_file(known, place.path)
            requested = row.rating_key == key
            if listed or item.get("type") not in TYPE_NUMBERS or (requested and self._now >= row.deadline):
                return {**values, "item_id": known and known.id}
            if not requested:
                sync.start(db, full=False, trigger="push", rating_keys=[key])
                values["deadline"] = self._now + CATALOGUE_WAIT
                lease.write(db, ARRIVE, row, unless_cancelled=True, **values)
        raise Retry(as_reason(*arrival_reasons.CATALOGUE), 1.0, counts=False)

    def _scan_if_due(self, places: Sequence[FileInLibrary]) -> datetime | None:
        """Have the folder scanned if that is due; returns the time of its last scan since the file came, or None."""
        row, first = self._row, places[0]
        with self._runtime.unit_of_work() as db:
            db.execute(select(func.pg_advisory_xact_lock(_LOCK)))  # of two simultaneous checks one scans
            latest = self._latest_scan(db, first)
            times = [time for time in (latest, row.scanned_at) if time is not None and time >= row.created_at]
            last = max(times, default=None)
            due = self._is_due(latest, last)
            scanned_at = self._now if due else last
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

    def _is_due(self, latest: datetime | None, last: datetime | None) -> bool:
        """Whether to scan now: this file needs it, and the folder was not scanned within `MIN_SCAN_INTERVAL`."""
        if latest is not None and self._now - latest < MIN_SCAN_INTERVAL:
            return False
        return last is None or (self._now < self._row.deadline and self._now - last >= RESCAN_AFTER)

    def _latest_scan(self, db: Session, place: FileInLibrary) -> datetime | None:
        """When the folder was last scanned for any file; None if not within `RESCAN_AFTER`."""
        newest = (
            select(PlexArrival.server_id, PlexArrival.path, PlexArrival.scanned_at)
            .order_by(PlexArrival.id.desc())
            .limit(_RECENT_ARRIVALS)
            .subquery()
        )
        lately = select(newest.c.path, newest.c.scanned_at).where(
            newest.c.server_id == self._search.server_id, newest.c.scanned_at > self._now - RESCAN_AFTER
        )
        times = [at for path, at in db.execute(lately) if paths.same(paths.folder(path), place.folder)]
        return max(times, default=None)

    def _retry_later(self) -> Retry:
        return Retry(
            as_reason(*arrival_reasons.SCANNING), _pause(self._now - self._row.created_at), counts=False
        )


def _plex_unavailable(
    attempt: Attempt[PlexArrival], now: datetime, kind: str, message: str
) -> Retry | GiveUp:
    """Extend the deadline, as Plex can't be asked, and forget the last scan, which may be lost."""
    row = attempt.row
    age = now - row.created_at
    if age >= MAX_AGE:
        return GiveUp(as_reason(kind, message, arrival_reasons.GIVEN_UP))
    attempt.write(deadline=max(row.deadline, now + MIN_WAIT_AFTER_OUTAGE), scanned_at=None)
    return Retry(as_reason(kind, message, arrival_reasons.AWAY, retryable=True), _pause(age), counts=False)


def _pause(age: timedelta) -> float:
    """Seconds until the next check: a quarter of the age, within `MIN_PAUSE` and `MAX_PAUSE`."""
    return min(MAX_PAUSE, max(MIN_PAUSE, age.total_seconds() / 4))


def _is_scanned_now(place: FileInLibrary) -> bool:
    return str(place.section.get("refreshing")).lower() in {"1", "true"}


def _has_file(known: MediaItem, path: str) -> bool:
    """Whether the catalogue's item lists the file."""
    listed = [part.get("file") for version in known.files or () for part in version.get("parts") or ()]
    return any(paths.same(str(file), path) for file in listed if file)
