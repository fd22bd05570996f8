"""Tasks around accounts: whether those who sign in with Plex still may."""

from __future__ import annotations

from engine.accounts import plex_access, plex_sign_in
from engine.job_names import Job, periods
from engine.jobs.slots import take_slot
from tasks.app import app, runtime, settings

PERIODS = periods(settings)


@app.task(name=Job.CHECK_PLEX_ACCESS.value)
def check_plex_access() -> None:
    """Ask plex.tv about those whose last check is a day old; drop PINs that nobody claimed."""
    with runtime().unit_of_work() as db:
        taken = take_slot(db, Job.CHECK_PLEX_ACCESS.value, PERIODS[Job.CHECK_PLEX_ACCESS])
        if taken:
            plex_sign_in.forget_old(db)
    if taken:
        plex_access.check_due(runtime())
