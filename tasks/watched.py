"""The task around watch states: what people watched in Plex."""

from __future__ import annotations

from engine.job_names import Job
from engine.plex.watching import refresh as watch_refresh
from tasks.app import app, runtime


@app.task(name=Job.WATCHED.value)
def refresh_watched() -> None:
    """Ask Plex what those who looked have watched."""
    watch_refresh.refresh_wanted(runtime())
