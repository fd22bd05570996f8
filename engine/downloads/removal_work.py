"""The work of removing a finished file, on a host that sees it; Plex is told."""

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

_NOBODY_COMES = timedelta(
    days=7
)  # a download folder that is away for longer is not only unmounted for a while
_AGAIN = 60.0  # seconds between two looks whether it is there
_FOLDER = "An admin should look at DOWNLOAD_DIR on the hosts of the download workers."
_BY_HAND = "Remove it by hand where it is not wanted."


def work(attempt: Attempt[FileRemoval]) -> Mapping[str, Any]:
    """Delete the very file that was published, once; one that is gone already is as good as deleted.

    Raises:
        Retry: the file system refuses, the download folder is not there, or Plex can't be told yet.
        GiveUp: the path leads out of the download folder, or what lies there is not the file that was published.
    """
    if attempt.row.removed_at is None:
        _remove(attempt)
        attempt.write(removed_at=now())
    _tell_plex(attempt)
    return {}


def _remove(attempt: Attempt[FileRemoval]) -> None:
    row, root = attempt.row, attempt.runtime.settings.download_dir
    target = root / row.path
    if not root.is_dir():
        raise _no_folder(row)
    folder = target.parent.resolve()
    if not folder.is_relative_to(root.resolve()):
        raise GiveUp(
            _said("path", "The file's path leads out of the download folder.", _FOLDER, retryable=False)
        )
    with attempt.runtime.unit_of_work() as db:
        taken = _is_anothers(db, row)
    try:
        removed = _remove_from(folder, target.name, row, taken=taken)
    except OSError as error:
        raise Retry(
            _said("refused", f"The file system refused: {error.strerror}.", _FOLDER, retryable=True)
        ) from error
    if not removed:
        raise GiveUp(_said("replaced", "The file at that place is not the one that was published.", _BY_HAND))


def _no_folder(row: FileRemoval) -> Retry:
    """To wait for a folder that is not mounted is no failure, for some days."""
    counts = row.started_at is not None and datetime.now(UTC) - row.started_at > _NOBODY_COMES
    said = _said("no_folder", "The download folder is not there.", _FOLDER, retryable=True)
    return Retry(said, None if counts else _AGAIN, counts=counts)


def _is_anothers(db: Session, row: FileRemoval) -> bool:
    """Whether another download names the path: then its file lies there, and ours is gone."""
    names: list[ColumnElement[bool]] = [
        literal_column(f"downloads.{column} ->> 'path'") == row.path for column in ("file", "publishing")
    ]
    others = select(Download.id).where(Download.id != row.download_id, or_(*names))
    return db.scalar(others.limit(1)) is not None


def _remove_from(folder: Path, name: str, row: FileRemoval, *, taken: bool) -> bool:
    """Remove the file of the row from the folder; False where another file has its name, or another row (`taken`).

    A name may change hands between a look and an unlink. So the file is given a name that only this removal knows,
    looked at under that, and put back where it is not the one. Whoever dies in between leaves it to the next attempt.
    """
    with _opened(folder) as place:
        if place is None:
            return True
        private = f".{row.id}.removing"
        if _status(place, private) is not None:
            return _end(folder, place, private, name, row)
        found = _status(place, name)
        if found is None:
            return True
        if taken or not is_same(found, row.identity):
            return False
        with suppress(FileNotFoundError):
            os.rename(name, private, src_dir_fd=place, dst_dir_fd=place)
            return _end(folder, place, private, name, row)
        return True


@contextmanager
def _opened(folder: Path) -> Iterator[int | None]:
    """The folder's descriptor, so that all steps are in the same one; None where it is gone."""
    try:
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield None
        return
    try:
        yield place
    finally:
        os.close(place)


def _status(place: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=place, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _end(folder: Path, place: int, private: str, name: str, row: FileRemoval) -> bool:
    """Remove what was set aside, or put it back where it is another file."""
    found = _status(place, private)
    if found is not None and not is_same(found, row.identity):
        _put_back(place, private, name)
        log.warning("file_removal.put_back", path=str(folder / name))
        return False
    os.unlink(private, dir_fd=place)
    os.fsync(place)
    return True


def _put_back(place: int, private: str, name: str) -> None:
    """Give a file its name again, or a numbered one where that has been taken meanwhile; nothing is overwritten."""
    number = 1
    while True:
        candidate = numbered(name, number) if number > 1 else name
        number += 1
        try:
            os.link(private, candidate, src_dir_fd=place, dst_dir_fd=place, follow_symlinks=False)
        except FileExistsError:
            continue
        except OSError:  # a file system without links, or a folder
            if _status(place, candidate) is not None:
                continue
            os.rename(private, candidate, src_dir_fd=place, dst_dir_fd=place)
            return
        os.unlink(private, dir_fd=place)
        return


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
            message = "The file is removed; Plex does not know it yet."
            raise Retry(_said("plex", message, _FOLDER, retryable=True)) from error
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


def _said(kind: str, message: str, advice: str, *, retryable: bool = False) -> dict[str, Any]:
    return {"kind": kind, "message": message, "advice": advice, "retryable": retryable}
