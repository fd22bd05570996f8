"""Holding a queue: nothing of it begins, what runs goes on."""

from __future__ import annotations

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.queue import Queue

log = structlog.get_logger(__name__)
_now = func.clock_timestamp


def is_paused(db: Session, queue: str) -> bool:
    """Whether an admin holds the queue."""
    return db.scalar(select(Queue.paused_at).where(Queue.name == queue)) is not None


def set_paused(db: Session, queue: str, *, by: str | None) -> None:
    """Hold a queue in the name of the user `by`, or let it go on where that is None; harmless when repeated."""
    held = {"paused_at": None if by is None else _now(), "paused_by": by}
    kept = held if by is None else {"paused_at": func.coalesce(Queue.paused_at, _now())}
    query = insert(Queue).values(name=queue, **held)
    db.execute(query.on_conflict_do_update(index_elements=["name"], set_={"paused_by": by, **kept}))


def note_block(db: Session, queue: str, reason: str | None) -> None:
    """Write down why nothing of a queue may begin just now; None: it may. The log is told when that changes."""
    before = db.scalar(select(Queue.blocked_reason).where(Queue.name == queue))
    if before != reason and reason is None:
        log.info("queue.unblocked", queue=queue, reason=before)
    elif before != reason:
        log.warning("queue.blocked", queue=queue, reason=reason)
    if reason is None:
        blocked = (Queue.name == queue) & Queue.blocked_reason.is_not(None)
        db.execute(update(Queue).where(blocked).values(blocked_reason=None, blocked_at=None))
        return
    values = {"blocked_reason": reason, "blocked_at": _now()}
    query = insert(Queue).values(name=queue, **values)
    db.execute(query.on_conflict_do_update(index_elements=["name"], set_=values))
