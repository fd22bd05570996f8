"""What every task does: run the next row of a kind, or a periodic job in its slot of the timetable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from engine.job_names import Job, periods
from engine.jobs.kinds import JobKind, R
from engine.jobs.reconcile import due
from engine.jobs.runner import Attempt, run_next
from engine.jobs.slots import take_slot
from tasks.app import bells_in_queue, runtime, settings

PERIODS = periods(settings)


def work_off(kind: JobKind[R], work: Callable[[Attempt[R]], Mapping[str, Any]]) -> None:
    """Run the next row of `kind`.

    A message that finds no row is spent, although one may become free when a budget is. So whoever ends a job sends one
    more where a row waits and no message does.
    """
    if run_next(runtime(), kind, work) and bells_in_queue(kind.job.queue) == 0:
        with runtime().unit_of_work() as db:
            waiting = due(db, kind, runtime().settings, 1)
        if waiting:
            runtime().ring(kind.job)


def run_in_slot(job: Job, work: Callable[[Session], object]) -> bool:
    """Do `work` in the transaction that takes the present slot of a periodic job; False where it was taken already."""
    with runtime().unit_of_work() as db:
        taken = take_slot(db, job.value, PERIODS[job])
        if taken:
            work(db)
    return taken
