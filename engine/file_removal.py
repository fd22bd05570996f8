"""The work of removing a finished file, on a host that sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.jobs.kinds import JobKind
from engine.jobs.names import Job
from engine.jobs.runner import Attempt, GiveUp, Retry
from models.download import FileRemoval

FILE_REMOVAL = JobKind(job=Job.REMOVE_FILE, model=FileRemoval, running="running")


def work(attempt: Attempt[FileRemoval]) -> Mapping[str, Any]:
    """Delete the file; one that is gone already is as good as deleted.

    Raises:
        Retry: the file system refuses, or the download folder is not there.
        GiveUp: the path leads out of the download folder, or to a folder.
    """
    root = attempt.runtime.settings.download_dir
    target = root / attempt.row.path
    if not root.is_dir():
        raise Retry(_said("no_folder", "The download folder is not there.", retryable=True))
    if not target.parent.resolve().is_relative_to(root.resolve()) or target.is_dir():
        raise GiveUp(_said("path", "The file's path leads out of the download folder.", retryable=False))
    try:
        target.unlink(missing_ok=True)
    except OSError as error:
        raise Retry(
            _said("refused", f"The file system refused: {error.strerror}.", retryable=True)
        ) from error
    return {}


def _said(kind: str, message: str, *, retryable: bool) -> dict[str, Any]:
    advice = "An admin should look at DOWNLOAD_DIR on the hosts of the download workers."
    return {"kind": kind, "message": message, "advice": advice, "retryable": retryable}
