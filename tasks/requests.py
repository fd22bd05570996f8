"""Tasks of requests: handing them on, telling of them, comparing them with the catalogue and with Overseerr."""

from __future__ import annotations

from engine.job_names import Job
from engine.media_requests import announcing, availability_pass, refreshing, upstream
from engine.media_requests.fulfilment import work as fulfilment_work
from engine.watchlists import reading
from tasks.app import app, runtime
from tasks.work import run_in_slot, work_off


@app.task(name=Job.FULFIL.value)
def fulfil() -> None:
    """Hand the next approved request on."""
    work_off(fulfilment_work.FULFIL, fulfilment_work.work)


@app.task(name=Job.ANNOUNCE.value)
def announce() -> None:
    """Tell people of the next step of a request."""
    work_off(announcing.ANNOUNCE, announcing.work)


@app.task(name=Job.CHECK_AVAILABILITY.value)
def check_availability() -> None:
    """Compare requests with the catalogue; rung for by what changes it, and by the timetable in case that was lost."""
    availability_pass.check(runtime())


@app.task(name=Job.COMPARE_UPSTREAM.value)
def compare_upstream() -> None:
    """Compare requests with those at Overseerr; rung for by its webhooks, and by the timetable."""
    upstream.compare(runtime())


@app.task(name=Job.REFRESH_TITLES.value)
def refresh_titles() -> None:
    """Ask TMDB anew about series that are asked for, once in each slot of the timetable."""
    if run_in_slot(Job.REFRESH_TITLES, lambda db: None):
        refreshing.refresh(runtime())


@app.task(name=Job.READ_WATCHLISTS.value)
def read_watchlists() -> None:
    """Ask for what users put on their Plex watchlists, of those that are due."""
    reading.read_due(runtime())
