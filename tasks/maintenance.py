"""Tasks of the timetable: each takes its slot first, so that it runs once however many beats fire."""

from __future__ import annotations

from engine import retention
from engine.job_names import Job
from engine.job_registry import KINDS
from engine.jobs.reconcile import reconcile as reconcile_jobs
from engine.monitoring import performance
from tasks.app import app, bells_in_queue, runtime
from tasks.work import run_in_slot


@app.task(name=Job.RECONCILE.value)
def reconcile() -> None:
    """Give back what dead workers held, and ring for what waits without a message."""
    if run_in_slot(Job.RECONCILE, lambda db: None):
        reconcile_jobs(runtime(), KINDS, bells_in_queue)


@app.task(name=Job.CLEAN_UP.value)
def clean_up() -> None:
    """Delete rows that are kept no longer."""
    run_in_slot(Job.CLEAN_UP, lambda db: retention.forget_old(db, runtime().settings))


@app.task(name=Job.NOOP.value, uses_database=False)
def noop(token: str) -> None:
    """Do nothing, and say when: the API's performance page measures the way here."""
    performance.answer(runtime(), token)
