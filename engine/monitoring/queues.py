"""The state of the queues: depth, age, running jobs, pauses; pause and resume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from engine import audit
from engine.audit import Actor, Subject
from engine.downloads.sources import host_breaker
from engine.errors import Conflict, NotFound
from engine.job_names import Job
from engine.job_registry import KINDS
from engine.jobs.bell import enqueue
from engine.jobs.pauses import set_paused
from models.queue import Queue, SourceHost

_now = func.clock_timestamp
_STALE = timedelta(seconds=60)  # a block that no worker has confirmed for this long is over
NEVER_PAUSED = "maintenance"


@dataclass
class QueueState:
    """One queue.

    Attributes:
        depth: due rows that wait; `delayed` are not due yet. `running` are leased by a worker.
        oldest: creation time of the oldest due row.
        blocked: why nothing starts although the queue is not paused, such as `disk`.
        throttled_hosts: of downloads: hosts whose breaker is open.
    """

    name: str
    depth: int = 0
    delayed: int = 0
    running: int = 0
    oldest: datetime | None = None
    paused_at: datetime | None = None
    paused_by: str | None = None
    blocked: str | None = None
    throttled_hosts: Sequence[SourceHost] = field(default_factory=list)


def overview(db: Session, names: Sequence[str]) -> list[QueueState]:
    """The state of each of the named queues."""
    states = {name: QueueState(name) for name in names}
    for kind in KINDS:
        _count(db, kind.model, states[kind.job.queue])
    for row in db.scalars(select(Queue)):
        state = states.get(row.name)
        if state is not None:
            state.paused_at, state.paused_by = row.paused_at, row.paused_by
    fresh = select(Queue.name, Queue.blocked_reason).where(Queue.blocked_at > _now() - _STALE)
    for name, reason in db.execute(fresh):
        states[name].blocked = reason
    states[Job.DOWNLOAD.queue].throttled_hosts = host_breaker.throttled(db)
    return list(states.values())


def pause(db: Session, names: Sequence[str], name: str, actor: Actor) -> QueueState:
    """Pause a queue: nothing starts until it is resumed; running jobs continue.

    Raises:
        NotFound: no such queue.
        Conflict: the queue of the housekeeping, which the reconciler needs.
    """
    _known(names, name)
    if name == NEVER_PAUSED:
        raise Conflict("The maintenance queue can't be paused: nothing would be rescued any more.")
    set_paused(db, name, by=actor.user_id)
    audit.record(db, "queue.paused", actor, Subject("queue", name, name))
    return _one(db, names, name)


def resume(db: Session, names: Sequence[str], name: str, actor: Actor) -> QueueState:
    """Resume a queue, at once.

    Raises:
        NotFound: no such queue.
    """
    _known(names, name)
    set_paused(db, name, by=None)
    for kind in KINDS:
        if kind.job.queue == name:
            enqueue(db, kind.job)
    audit.record(db, "queue.resumed", actor, Subject("queue", name, name))
    return _one(db, names, name)


def _known(names: Sequence[str], name: str) -> None:
    if name not in names:
        raise NotFound(f"There is no such queue. Queues: {', '.join(names)}.")


def _one(db: Session, names: Sequence[str], name: str) -> QueueState:
    return next(state for state in overview(db, names) if state.name == name)


def _count(db: Session, model: Any, state: QueueState) -> None:
    waits: ColumnElement[bool] = model.lease_until.is_(None)
    due = model.next_run_at <= _now()
    row = db.execute(
        select(
            func.count().filter(waits, due),
            func.count().filter(waits, ~due),
            func.count().filter(~waits),
            func.min(model.created_at).filter(waits, due),
        ).where(model.ended_at.is_(None))
    ).one()
    state.depth += row[0]
    state.delayed += row[1]
    state.running += row[2]
    state.oldest = min(filter(None, (state.oldest, row[3])), default=None)
