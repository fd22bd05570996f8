"""Finds what got lost: rows whose holder died, rows that nobody was told of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.jobs import lease
from engine.jobs.kinds import JobKind
from engine.jobs.lease import now
from engine.jobs.owner import is_gone
from engine.jobs.pauses import is_paused
from engine.jobs.runner import POISON
from engine.runtime import Runtime

log = structlog.get_logger(__name__)

_BELLS = 100  # rung for one kind in one go at most; the next round rings for the rest


def reconcile(runtime: Runtime, kinds: Iterable[JobKind[Any]], bells_in_queue: Callable[[str], int]) -> None:
    """Give back what its holder lost, and ring for what waits in silence.

    Args:
        runtime: of the calling worker.
        kinds: all kinds of jobs.
        bells_in_queue: how many messages wait in a queue of the broker.
    """
    for kind in kinds:
        with runtime.unit_of_work() as db:
            rescue(db, kind, runtime.settings)
        with runtime.unit_of_work() as db:
            missing = due(db, kind, runtime.settings, _BELLS) - bells_in_queue(kind.job.queue)
        for _ in range(min(missing, _BELLS)):
            if not runtime.ring(kind.job):
                break
    log.debug("reconcile.done")


def rescue(db: Session, kind: JobKind[Any], settings: Settings) -> int:
    """Take back every row of a kind whose lease ran out, or whose holder is seen to be dead; returns how many.

    The row waits again with its crash counted, fails as poison when it crashed too often in a row without getting
    further, and is cancelled where that was wished.
    """
    model = kind.model
    held = db.scalars(
        select(model).where(model.lease_until.is_not(None)).with_for_update(skip_locked=True)
    ).all()
    today = db.scalar(select(now()))
    lost = [row for row in held if row.lease_until < today or is_gone(row.lease_owner)]
    for row in lost:
        crashes = kind.crashes(row)
        told = {"job": kind.job.value, "row": row.id, "correlation_id": row.correlation_id}
        log.warning("job.rescued", crashes=crashes, **told)
        if row.cancel_requested_at is not None:
            lease.finish(db, kind, row, kind.cancelled)
        elif crashes >= settings.poison_crashes:
            lease.finish(db, kind, row, kind.failed, error=POISON, crash_count=crashes)
            log.error("job.failed", kind=POISON["kind"], **told)
        else:
            lease.give_back(db, kind, row, after=float(crashes), crash_count=crashes)
    return len(lost)


def due(db: Session, kind: JobKind[Any], settings: Settings, at_most: int) -> int:
    """How many rows of a kind could be claimed now; counts no further than `at_most`."""
    if is_paused(db, kind.job.queue):
        return 0
    some = (
        select(kind.model.id)
        .where(lease.waiting(kind.model), *kind.limits(db, settings))
        .limit(at_most)
        .subquery()
    )
    return int(db.scalar(select(func.count()).select_from(some)) or 0)
