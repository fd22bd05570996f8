"""Tasks around Plex: keeping in step with the library, finding new files in it, and who watched what."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from kombu.exceptions import OperationalError

from engine.arrivals import work as arrival_work
from engine.job_names import Job
from engine.jobs.runner import Attempt, Retry
from engine.plex.sync import schedule as sync_schedule
from engine.plex.sync import work as sync_work
from engine.plex.watching import work as watch_work
from models.plex_arrival import PlexArrival
from tasks.app import app, runtime
from tasks.work import run_in_slot, work_off


@app.task(name=Job.SYNC.value)
def run_sync() -> None:
    """Run the next sync."""
    work_off(sync_work.SYNC, sync_work.work)


@app.task(name=Job.SYNC_DUE.value)
def sync_due() -> None:
    """Start the sync that the timetable wants, where a server is configured."""
    run_in_slot(Job.SYNC_DUE, lambda db: sync_schedule.start_due(db, runtime().settings))


@app.task(name=Job.WATCHED.value)
def refresh_watched() -> None:
    """Read the next user's watch states from Plex."""
    work_off(watch_work.WATCH_REFRESH, watch_work.work)


@app.task(name=Job.ARRIVE.value)
def arrive() -> None:
    """Look whether Plex has the next of the finished downloads; its own next look is rung for in time."""
    pauses: list[float] = []

    def look(attempt: Attempt[PlexArrival]) -> Mapping[str, Any]:
        try:
            return arrival_work.work(attempt)
        except Retry as later:
            pauses.append(later.after or 0.0)
            raise

    work_off(arrival_work.ARRIVE, look)
    for pause in pauses:
        with suppress(OperationalError):  # Redis is away: the reconciler rings
            arrive.apply_async(countdown=pause, queue=Job.ARRIVE.queue, retry=False)
