"""Sync runs: start, list, report, cancel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine import audit, events
from engine.audit import Actor, Subject
from engine.correlation import correlation_id
from engine.errors import Conflict, NotFound
from engine.events import Event
from engine.job_names import Job
from engine.jobs.bell import enqueue
from engine.paging import Page
from engine.plex.server import connection
from engine.readers import SYNC
from engine.stores import locks
from models.base import new_id
from models.sync_run import SyncChange, SyncRun

Trigger = Literal["schedule", "night", "manual", "push", "webhook"]

STATUSES = ("queued", "running", "completed", "failed", "cancelled")
NO_COUNTS = {"created": 0, "updated": 0, "deleted": 0, "unchanged": 0}
MOST_SHOWN = 1000  # changes of a run, one by one
RECENT = timedelta(minutes=10)  # for which an ended run is in the snapshot of a socket
MOST_RECENT = 50
MOST_KEYS = 500  # more named items at once become an incremental pass


_now = func.clock_timestamp

_ACTIVE = SyncRun.ended_at.is_(None), SyncRun.cancel_requested_at.is_(None)
# Locked, so that a run that is claimed meanwhile is not changed after its claim has read it.
_FIRST_WAITING = (
    select(SyncRun)
    .where(*_ACTIVE, SyncRun.lease_until.is_(None), SyncRun.sections == [])
    .order_by(SyncRun.id)
    .limit(1)
    .with_for_update()
    .execution_options(populate_existing=True)
)


def start(
    db: Session,
    *,
    full: bool,
    trigger: Trigger,
    user_id: str | None = None,
    rating_keys: Sequence[str] | None = None,
) -> tuple[SyncRun, bool]:
    """Request a sync; returns the run and whether it is new.

    One runs at a time. An incremental one joins a waiting or running one; a full one joins another full one, turns a
    waiting one into a full one, or else follows the running one. One of single items joins a waiting one, or else
    follows. Nothing joins a run that was interrupted: it does not repeat the libraries that it has done.
    """
    _one_by_one(db)
    waiting = db.scalars(_FIRST_WAITING).first()
    if waiting is not None:
        _widen(waiting, full, rating_keys)
        db.flush()
        enqueue(db, Job.SYNC)  # a worker that claimed while we held the row has skipped it
        return waiting, False
    running = db.scalars(select(SyncRun).where(*_ACTIVE, SyncRun.lease_until.is_not(None))).first()
    if running is not None and _covers(running, full, rating_keys):
        return running, False
    run = SyncRun(
        id=new_id("sync"),
        status="queued",
        full=full,
        trigger=trigger,
        user_id=user_id,
        rating_keys=_named([], full, rating_keys),
        counts=dict(NO_COUNTS),
        sections=[],
        correlation_id=correlation_id(),
    )
    db.add(run)
    db.flush()
    db.refresh(run)
    enqueue(db, Job.SYNC)
    return run, True


def start_by_hand(db: Session, settings: Settings, *, full: bool, actor: Actor) -> tuple[SyncRun, bool]:
    """Start a sync by hand, as `start` does, with an entry in the audit log.

    Raises:
        NotFound: Plex is switched off.
        Conflict: no server is configured.
    """
    connection.refuse_if_off(settings)
    if connection.configured(db, settings) is None:
        raise Conflict(connection.NOT_CONFIGURED)
    run, new = start(db, full=full, trigger="manual", user_id=actor.user_id)
    if new:
        audit.record(db, "sync.started", actor, Subject("sync", run.id), full=run.full)
    return run, new


def listing(db: Session, *, page: int, limit: int, status: str | None = None) -> Page[SyncRun]:
    """A page of the runs, newest first."""
    query = select(SyncRun)
    if status is not None:
        query = query.where(SyncRun.status == status)
    total = db.scalar(select(func.count()).select_from(query.subquery())) or 0
    rows = db.scalars(query.order_by(SyncRun.id.desc()).offset((page - 1) * limit).limit(limit)).all()
    return Page(rows, page, limit, total)


def snapshot(db: Session) -> list[dict[str, Any]]:
    """The active and recently ended runs, oldest first, as event data."""
    lately = or_(SyncRun.ended_at.is_(None), SyncRun.ended_at > _now() - RECENT)
    rows = db.scalars(select(SyncRun).where(lately).order_by(SyncRun.id.desc()).limit(MOST_RECENT)).all()
    return [row(run) for run in reversed(rows)]


def get(db: Session, sync_id: str) -> SyncRun:
    """One run.

    Raises:
        NotFound: there is none.
    """
    run = db.get(SyncRun, sync_id)
    if run is None:
        raise NotFound("There is no such sync.")
    return run


def changes(db: Session, sync_id: str, limit: int = MOST_SHOWN) -> Sequence[SyncChange]:
    """The changes of single items by a run, in order."""
    query = select(SyncChange).where(SyncChange.sync_id == sync_id).order_by(SyncChange.id).limit(limit)
    return db.scalars(query).all()


def cancel(db: Session, sync_id: str) -> SyncRun:
    """Cancel a run: a waiting one at once, a running one within 3 seconds; what it has written stays.

    Raises:
        NotFound: there is none.
        Conflict: it has ended.
    """
    _one_by_one(db)  # before the row: `start` locks in this order too
    run = db.scalars(select(SyncRun).where(SyncRun.id == sync_id).with_for_update()).one_or_none()
    if run is None:
        raise NotFound("There is no such sync.")
    if run.ended_at is not None:
        raise Conflict(f"This sync has ended already: it is {run.status}.")
    if run.cancel_requested_at is None:
        run.cancel_requested_at = _now()
    if run.lease_until is None:
        run.status, run.ended_at = "cancelled", _now()
    db.flush()
    db.refresh(run)
    if run.ended_at is not None:
        announce(db, run)
    return run


def cancel_by_hand(db: Session, sync_id: str, actor: Actor) -> SyncRun:
    """Cancel a run by hand, as `cancel` does, with an entry in the audit log."""
    run = cancel(db, sync_id)
    audit.record(db, "sync.cancelled", actor, Subject("sync", run.id))
    return run


def announce(db: Session, run: SyncRun) -> None:
    """Publish the state of a run after the commit."""
    name = {"running": "started", "queued": "progress"}.get(run.status, run.status)
    events.publish(db, event(run, name))


def event(run: SyncRun, name: str, **more: Any) -> Event:
    """The event `sync:<name>`."""
    return Event(f"sync:{name}", {**row(run), **more}, None, SYNC, passing=name == "progress", key=run.id)


def row(run: SyncRun) -> dict[str, Any]:
    """A run as clients see it; times are ISO 8601."""
    return {
        "id": run.id,
        "status": run.status,
        "full": run.full,
        "trigger": run.trigger,
        "createdAt": events.timestamp(run.created_at),
        "startedAt": run.started_at and events.timestamp(run.started_at),
        "finishedAt": run.ended_at and events.timestamp(run.ended_at),
        "counts": run.counts,
        "sections": run.sections,
        "attempt": run.attempt,
        "error": run.error,
    }


def _one_by_one(db: Session) -> None:
    """Serialise starts and cancels of syncs, by an advisory lock."""
    locks.hold(db, locks.Lock.SYNC_RUNS)


def _widen(run: SyncRun, full: bool, rating_keys: Sequence[str] | None) -> None:
    run.full = run.full or full
    if run.rating_keys is not None:
        run.rating_keys = _named(run.rating_keys, full, rating_keys)


def _named(known: Sequence[str], full: bool, more: Sequence[str] | None) -> list[str] | None:
    """The items that a run looks at; None: all that has changed."""
    if full or more is None:
        return None
    keys = sorted({*known, *more})
    return None if len(keys) > MOST_KEYS else keys


def _covers(run: SyncRun, full: bool, rating_keys: Sequence[str] | None) -> bool:
    """Whether an active run covers a request, less the libraries that it has finished."""
    return run.rating_keys is None and rating_keys is None and (run.full or not full)
