"""The job that removes a published file, on a host that has the download folder, and has Plex rescan its folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import ColumnElement, func, literal_column, or_, select
from sqlalchemy.orm import Session

from engine.arrivals import work as arrival_work
from engine.clients.plex.errors import PlexError
from engine.job_names import Job
from engine.jobs.kinds import JobKind
from engine.jobs.lease import now
from engine.jobs.runner import Attempt, GiveUp, Retry
from engine.storage.file_identity import is_same
from engine.storage.filenames import numbered
from models.download import Download, FileRemoval

log = structlog.get_logger(__name__)

FILE_REMOVAL = JobKind(job=Job.REMOVE_FILE, model=FileRemoval, running="running")

# A download folder that is missing for longer is more than unmounted for a while.
_MISSING_FOLDER_UNCOUNTED = timedelta(days=7)
_FOLDER_CHECK_SECONDS = 60.0
_FOLDER = "An admin should look at DOWNLOAD_DIR on the hosts of the download workers."
_BY_HAND = "Remove it by hand where it is not wanted."


def work(attempt: Attempt[FileRemoval]) -> Mapping[str, Any]:
    """Delete the file if it is still the published one; a missing file counts as deleted.

    Raises:
        Retry: the file system refuses, the download folder is missing, or Plex can't be reached yet.
        GiveUp: the path is outside the download folder, or another file has that name now.
    """
    if attempt.row.removed_at is None:
        _remove(attempt)
        attempt.write(removed_at=now())
    _request_plex_scan(attempt)
    return {}


def _remove(attempt: Attempt[FileRemoval]) -> None:
    row, root = attempt.row, attempt.runtime.settings.download_dir
    target = root / row.path
    if not root.is_dir():
        raise _no_folder(row)
    folder = target.parent.resolve()
    if not folder.is_relative_to(root.resolve()):
        raise GiveUp(
            _error("path", "The file's path leads out of the download folder.", _FOLDER, retryable=False)
        )
    with attempt.runtime.unit_of_work() as db:
        taken = _is_path_of_another_download(db, row)
    try:
        removed = _remove_from(folder, target.name, row, taken=taken)
    except OSError as error:
        raise Retry(
            _error("refused", f"The file system refused: {error.strerror}.", _FOLDER, retryable=True)
        ) from error
    if not removed:
        raise GiveUp(
            _error("replaced", "The file at that place is not the one that was published.", _BY_HAND)
        )


def _no_folder(row: FileRemoval) -> Retry:
    """Retry later; an unmounted folder counts as a failed attempt only after `_MISSING_FOLDER_UNCOUNTED`."""
    counts = row.started_at is not None and datetime.now(UTC) - row.started_at > _MISSING_FOLDER_UNCOUNTED
    error = _error("no_folder", "The download folder is not there.", _FOLDER, retryable=True)
    return Retry(error, None if counts else _FOLDER_CHECK_SECONDS, counts=counts)


def _is_path_of_another_download(db: Session, row: FileRemoval) -> bool:
    """Whether another download's row has this path: then the file there is that download's, and ours is gone."""
    names: list[ColumnElement[bool]] = [
        literal_column(f"downloads.{column} ->> 'path'") == row.path for column in ("file", "publishing")
    ]
    others = select(Download.id).where(Download.id != row.download_id, or_(*names))
    return db.scalar(others.limit(1)) is not None


def _remove_from(folder: Path, name: str, row: FileRemoval, *, taken: bool) -> bool:
    """Remove the row's file from the folder; False if another file, or another row (`taken`), has its name.

    Another file may get the name between stat and unlink. So the file is first renamed to a name that only this
    removal uses, checked under that name, and put back if it is another file. If the worker dies in between, the next
    attempt finds it under the private name.
    """
    with _folder_descriptor(folder) as folder_fd:
        if folder_fd is None:
            return True
        private = f".{row.id}.removing"
        if _status(folder_fd, private) is not None:
            return _unlink_or_put_back(folder, folder_fd, private, name, row)
        found = _status(folder_fd, name)
        if found is None:
            return True
        if taken or not is_same(found, row.identity):
            return False
        with suppress(FileNotFoundError):
            os.rename(name, private, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
            return _unlink_or_put_back(folder, folder_fd, private, name, row)
        return True


@contextmanager
def _folder_descriptor(folder: Path) -> Iterator[int | None]:
    """An open descriptor, so that all steps act on the same folder; None if it is gone."""
    try:
        folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield None
        return
    try:
        yield folder_fd
    finally:
        os.close(folder_fd)


def _status(folder_fd: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _unlink_or_put_back(folder: Path, folder_fd: int, private: str, name: str, row: FileRemoval) -> bool:
    """Unlink the renamed file, or put it back if it is another file."""
    found = _status(folder_fd, private)
    if found is not None and not is_same(found, row.identity):
        _put_back(folder_fd, private, name)
        log.warning("file_removal.put_back", path=str(folder / name))
        return False
    os.unlink(private, dir_fd=folder_fd)
    os.fsync(folder_fd)
    return True


def _put_back(folder_fd: int, private: str, name: str) -> None:
    """Rename a file back, or to a numbered name if its name has been taken meanwhile; never overwrites."""
    number = 1
    while True:
        candidate = numbered(name, number) if number > 1 else name
        number += 1
        try:
            os.link(private, candidate, src_dir_fd=folder_fd, dst_dir_fd=folder_fd, follow_symlinks=False)
        except FileExistsError:
            continue
        except OSError:  # no hard links on this file system, or a folder
            if _status(folder_fd, candidate) is not None:
                continue
            os.rename(private, candidate, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
            return
        os.unlink(private, dir_fd=folder_fd)
        return


def _request_plex_scan(attempt: Attempt[FileRemoval]) -> None:
    """Have Plex scan the folder, once for all pending removals in it.

    Raises:
        Retry: Plex can't be reached. After the last attempt it is left to Plex's own scans.
    """
    row = attempt.row
    with attempt.runtime.unit_of_work() as db:
        if _is_another_removal_pending(db, row):
            return
    try:
        arrival_work.scan_after_removal(attempt, row.path)
    except PlexError as error:
        if row.attempt < FILE_REMOVAL.attempts(attempt.runtime.settings):
            message = "The file is removed; Plex does not know it yet."
            raise Retry(_error("plex", message, _FOLDER, retryable=True)) from error
        log.warning("arrival.removal_not_told", reason=str(error))


def _is_another_removal_pending(db: Session, row: FileRemoval) -> bool:
    """Whether another removal in the same folder has not begun yet: that one has Plex scan the folder."""
    folder = row.path.rpartition("/")[0]
    waits = select(FileRemoval.id).where(
        FileRemoval.ended_at.is_(None),
        FileRemoval.lease_until.is_(None),
        FileRemoval.attempt == 0,
        func.regexp_replace(FileRemoval.path, "/?[^/]*$", "") == folder,
    )
    return db.scalar(waits.limit(1)) is not None


def _error(kind: str, message: str, advice: str, *, retryable: bool = False) -> dict[str, Any]:
    return {"kind": kind, "message": message, "advice": advice, "retryable": retryable}
