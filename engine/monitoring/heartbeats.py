"""Heartbeats of the workers, and the housekeeping of each host."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from engine.downloads import cleanup
from engine.job_names import Job, periods
from engine.jobs.bell import enqueue
from engine.jobs.owner import is_gone, this_process
from engine.jobs.slots import is_overdue
from engine.runtime import Runtime
from engine.stores.database_errors import reason
from models.heartbeat import Heartbeat

log = structlog.get_logger(__name__)

EVERY = 5.0  # seconds between two beats
FRESH = timedelta(seconds=30)  # a process counts as dead after that


class Pulse:
    """The heartbeat of one process; a worker that serves downloads also cleans its host's work folder."""

    def __init__(self, runtime: Runtime, name: str, queues: list[str]) -> None:
        self._runtime, self._name, self._queues = runtime, name, queues
        self._owner = this_process()
        self._ended = threading.Event()

    def beat_forever(self) -> None:
        """Write the heartbeat periodically until `end()`; errors of the database are ignored."""
        while True:
            try:
                with self._runtime.unit_of_work() as db:
                    self._beat(db)
                    self._stand_in_for_beat(db)
                if "downloads" in self._queues:
                    with self._runtime.unit_of_work() as db:
                        cleanup.sweep(db, self._runtime.settings)
            except SQLAlchemyError as error:
                log.warning("pulse.database_away", reason=reason(error))
            except OSError as error:
                log.warning("pulse.files", error=error.strerror)
            if self._ended.wait(EVERY):
                return

    def _beat(self, db: Session) -> None:
        values = {
            "queues": ",".join(self._queues),
            "owner": self._owner,
            "seen_at": func.clock_timestamp(),
        }
        query = insert(Heartbeat).values(name=self._name, **values)
        db.execute(query.on_conflict_do_update(index_elements=["name"], set_=values))

    def _stand_in_for_beat(self, db: Session) -> None:
        """Ring for the reconciler while beat is missing: without it no dead worker's job is given back."""
        if is_overdue(db, Job.RECONCILE.value, periods(self._runtime.settings)[Job.RECONCILE]):
            enqueue(db, Job.RECONCILE)

    def end(self) -> None:
        """Delete the heartbeat: the process stops in order."""
        self._ended.set()
        with (
            suppress(SQLAlchemyError),
            self._runtime.unit_of_work() as db,
        ):  # without it, the row soon looks stale
            db.execute(delete(Heartbeat).where(Heartbeat.name == self._name))


def alive(db: Session) -> Sequence[Heartbeat]:
    """The workers that were heard of lately, by name."""
    fresh = Heartbeat.seen_at > func.clock_timestamp() - FRESH
    return db.scalars(select(Heartbeat).where(fresh).order_by(Heartbeat.name)).all()


def forget_dead(db: Session) -> None:
    """Delete heartbeats of processes that ended long ago, or that no longer exist on this host."""
    db.execute(delete(Heartbeat).where(Heartbeat.seen_at < func.clock_timestamp() - timedelta(days=1)))
    ended = [beat.name for beat in db.scalars(select(Heartbeat)) if is_gone(beat.owner)]
    db.execute(delete(Heartbeat).where(Heartbeat.name.in_(ended)))
