"""The names of all jobs, the queue each rings in, and how often the periodic ones are due."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from config.settings import Settings


class Job(StrEnum):
    """A job's name is the name of its one task."""

    DOWNLOAD = "downloads.download"
    PREVIEW = "media.preview"
    REMOVE_FILE = "downloads.remove_file"
    MAIL = "notifications.mail"
    SYNC = "plex.sync"
    SYNC_DUE = "plex.sync_due"
    ARRIVE = "plex.arrive"
    CHECK_PLEX_ACCESS = "plex.check_access"
    WATCHED = "plex.watched"
    WEBHOOK = "webhooks.process"
    FULFIL = "requests.fulfil"
    ANNOUNCE = "requests.announce"
    CHECK_AVAILABILITY = "requests.check_availability"
    COMPARE_UPSTREAM = "requests.compare_upstream"
    REFRESH_TITLES = "requests.refresh_titles"
    READ_WATCHLISTS = "requests.read_watchlists"
    DELIVER = "notifications.deliver"
    RECONCILE = "maintenance.reconcile"
    CLEAN_UP = "maintenance.clean_up"
    NOOP = "maintenance.noop"

    @property
    def queue(self) -> str:
        """The kombu queue of the job."""
        return self.value.split(".", 1)[0]


def periods(settings: Settings) -> dict[Job, timedelta]:
    """The periodic jobs, and how often each is due."""
    return {
        Job.RECONCILE: timedelta(seconds=settings.reconcile_seconds),
        Job.CLEAN_UP: timedelta(minutes=1),
        Job.CHECK_AVAILABILITY: timedelta(minutes=1),
        Job.COMPARE_UPSTREAM: timedelta(minutes=5),
        # A batch each time, so that a day's look-ups are spread over the day.
        Job.REFRESH_TITLES: timedelta(minutes=10),
        Job.READ_WATCHLISTS: timedelta(minutes=1),
        Job.SYNC_DUE: timedelta(seconds=settings.plex_sync_seconds),
        # A batch each time, so that a day's checks are spread over the day.
        Job.CHECK_PLEX_ACCESS: timedelta(seconds=min(600, settings.plex_check_seconds)),
    }
