"""The whole timetable, as data: which job is due how often."""

from __future__ import annotations

from typing import Any

from config.settings import Settings
from engine.job_names import periods


def timetable(settings: Settings) -> dict[str, dict[str, Any]]:
    """The entries of beat.

    No message expires: that would be by the clock of beat's host, which may be wrong. Each job takes the slot of its
    run in the database, so two beats, a restarted one and a late one give one run a slot.
    """
    return {
        job.value: {
            "task": job.value,
            "schedule": every,
            "options": {"queue": job.queue, "retry": False},
        }
        for job, every in periods(settings).items()
    }
