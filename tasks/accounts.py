"""Tasks around accounts: whether those who sign in with Plex still may."""

from __future__ import annotations

from engine.accounts import plex_access, plex_sign_in
from engine.job_names import Job
from tasks.app import app, runtime
from tasks.work import run_in_slot


@app.task(name=Job.CHECK_PLEX_ACCESS.value)
def check_plex_access() -> None:
    """Ask plex.tv about those whose last check is a day old; drop PINs that nobody claimed."""
    if run_in_slot(Job.CHECK_PLEX_ACCESS, plex_sign_in.forget_old):
        plex_access.check_due(runtime())
