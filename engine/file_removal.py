"""The work of removing a finished file, on a host that sees it; Plex is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine.clients.plex_library import PlexError
from engine.jobs.kinds import JobKind
from engine.jobs.names import Job
from engine.jobs.runner import Attempt, GiveUp, Retry
from engine.plex import arrival_work
from models.download import FileRemoval

log = structlog.get_logger(__name__)

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
    _tell_plex(attempt)
    return {}


def _tell_plex(attempt: Attempt[FileRemoval]) -> None:
    """Have Plex look into the folder, once for all that are removed from it; else it finds out by itself, later."""
    row = attempt.row
    with attempt.runtime.unit_of_work() as db:
        if _others_follow(db, row):
            return
    try:
        arrival_work.removed(attempt, row.path)
    except PlexError as error:
        if row.attempt < FILE_REMOVAL.attempts(attempt.runtime.settings):
            raise Retry(
                _said("plex", "The file is removed; Plex does not know it yet.", retryable=True)
            ) from error
        log.warning("arrival.removal_not_told", reason=str(error))


def _others_follow(db: Session, row: FileRemoval) -> bool:
    """Whether another file of the folder waits to be removed: then its removal tells Plex."""
    folder = row.path.rpartition("/")[0]
    waits = select(FileRemoval.id).where(
        FileRemoval.ended_at.is_(None),
        FileRemoval.lease_until.is_(None),
        FileRemoval.attempt == 0,
        func.regexp_replace(FileRemoval.path, "/?[^/]*$", "") == folder,
    )
    return db.scalar(waits.limit(1)) is not None


def _said(kind: str, message: str, *, retryable: bool) -> dict[str, Any]:
    advice = "An admin should look at DOWNLOAD_DIR on the hosts of the download workers."
    return {"kind": kind, "message": message, "advice": advice, "retryable": retryable}
