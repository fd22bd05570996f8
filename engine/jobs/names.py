"""The names of all jobs and the queue each rings in; a test holds them against the tasks that exist."""

from __future__ import annotations

from enum import StrEnum


class Job(StrEnum):
    """A job's name is the name of its one task."""

    DOWNLOAD = "downloads.download"
    PREVIEW = "media.preview"
    REMOVE_FILE = "downloads.remove_file"
    RECONCILE = "maintenance.reconcile"
    CLEAN_UP = "maintenance.clean_up"
    NOOP = "maintenance.noop"

    @property
    def queue(self) -> str:
        """The kombu queue of the job."""
        return self.value.split(".", 1)[0]
