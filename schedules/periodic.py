"""The timetable of periodic jobs, as data."""

from __future__ import annotations

from typing import Any

from config.settings import Settings
from engine.job_names import periods


def timetable(settings: Settings) -> dict[str, dict[str, Any]]:
    """Entries for Celery's `beat_schedule`, by job name.

    Messages don't expire, as that would depend on the clock of beat's host. Each job takes its run's slot in the
    database, so that several beats, restarts and late messages lead to one run per slot.
    """
    return {
        job.value: {
            "task": job.value,
            "schedule": every,
            "options": {"queue": job.queue, "retry": False},
        }
        for job, every in periods(settings).items()
    }
