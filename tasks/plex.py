"""Tasks around Plex: keeping in step with the library."""

from __future__ import annotations

from engine.jobs.names import Job, periods
from engine.jobs.slots import take_slot
from engine.plex import sync_schedule, sync_work
from tasks.app import app, runtime, settings
from tasks.work import work_off

PERIODS = periods(settings)


@app.task(name=Job.SYNC.value)
def run_sync() -> None:
    """Run the next sync."""
    work_off(sync_work.SYNC, sync_work.work)


@app.task(name=Job.SYNC_DUE.value)
def sync_due() -> None:
    """Start the sync that the timetable wants, where a server is configured."""
    with runtime().unit_of_work() as db:
        if take_slot(db, Job.SYNC_DUE.value, PERIODS[Job.SYNC_DUE]):
            sync_schedule.start_due(db, runtime().settings)
