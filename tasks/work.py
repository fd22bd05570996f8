"""What every job task does: run the next row, then ring for the one behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.jobs.kinds import JobKind, R
from engine.jobs.reconcile import due
from engine.jobs.runner import Attempt, run_next
from tasks.app import bells_in_queue, runtime
from tasks.outages import outlived


def work_off(kind: JobKind[R], work: Callable[[Attempt[R]], Mapping[str, Any]]) -> None:
    """Run the next row of `kind`.

    A bell that finds no row is spent, although one may become free when a budget is. So whoever ends a job rings
    once more where something waits and no bell does.
    """
    with outlived(kind.job):
        if run_next(runtime(), kind, work) and bells_in_queue(kind.job.queue) == 0:
            with runtime().unit_of_work() as db:
                waiting = due(db, kind, runtime().settings, 1)
            if waiting:
                runtime().ring(kind.job)
