"""The app that celery beat runs: the workers' app with the timetable."""

from __future__ import annotations

from schedules.periodic import timetable
from tasks.app import app, settings

app.conf.beat_schedule = timetable(settings)
app.conf.include = ()  # beat sends names; without the tasks behind them it needs half the memory

__all__ = ["app"]
