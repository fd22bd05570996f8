"""The schedule of syncs: an incremental one every 15 minutes, a full one at night."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.plex.server import connection
from engine.plex.sync import runs as sync
from models.sync_run import SyncRun

_BETWEEN = timedelta(hours=12)  # two full ones, at least
_LATEST = timedelta(hours=48)  # after which a server that is off at night gets its full one by day

_now = func.clock_timestamp


def start_due(db: Session, settings: Settings) -> SyncRun | None:
    """Start the scheduled sync; None where no server is configured.

    Raises:
        ServiceUnavailable: the stored token was written with another `SECRET_KEY`.
    """
    if connection.configured(db, settings) is None:
        return None
    full = _full_is_due(db, settings)
    return sync.start(db, full=full, trigger="night" if full else "schedule")[0]


def forget_old(db: Session, age: timedelta) -> None:
    """Drop reports of runs that ended longer ago than `age`."""
    db.execute(delete(SyncRun).where(SyncRun.ended_at < _now() - age))


def _full_is_due(db: Session, settings: Settings) -> bool:
    """Whether a full sync is due: by night, or too long after the last one; the first sync is full in any case."""
    done = select(
        func.coalesce(func.max(SyncRun.started_at).filter(SyncRun.full), func.min(SyncRun.started_at))
    )
    last = db.scalar(done.where(SyncRun.status == "completed"))
    if last is None:
        return False
    age = datetime.now(UTC) - last
    at_night = datetime.now().astimezone().hour == settings.plex_full_sync_hour
    return age > _LATEST or (at_night and age > _BETWEEN)
