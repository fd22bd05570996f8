"""Publishes a finished file under its final name: atomic, never overwriting, once, even if workers die or pause.

The order of steps is what makes it safe, on one host or on several that share `DOWNLOAD_DIR`:

1. The file is linked or copied into the staging folder as `<row id>.<epoch>` and fsynced.
2. A fenced write records the name it will get and its inode. An attempt that has lost the row stops here.
3. A hard link gives it that name; link(2) never overwrites. Where the target folder is on another file system than
   the staging folder (a mount below `DOWNLOAD_DIR`), the file is staged again in a staging folder there, a marker
   (symlink) in the first one says where, and step 2 is repeated.
4. A fenced write completes the row; then the staged name is removed.

A successor first renames what earlier attempts staged. From then on none of those can link, however long it was
paused between its fenced write and its link: its source name is gone. Then the successor looks for the recorded inode
under the recorded name. If it is there, the file was published and only the row is left to complete. If not, the
successor links the renamed file, or starts again.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from engine.errors import ValidationFailed
from engine.jobs.runner import Attempt, GiveUp
from engine.storage.file_identity import identity_of, is_same
from engine.storage.filenames import numbered
from engine.storage.layout import STAGING, confine
from models.download import Download

log = structlog.get_logger(__name__)

_CHUNK = 4 << 20
MARKER_SUFFIX = ".near"  # of the symlink to an attempt's second staging folder
_LINKS_UNSUPPORTED = {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}


def publish(attempt: Attempt[Download], source: Path, name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Publish `source` as `DOWNLOAD_DIR/<folder>/<name>`, or under the next free numbered name.

    Args:
        attempt: its lease is renewed while a large file is copied from another file system.
        source: the finished file in the work folder.
        name: the preferred file name.
        facts: further keys of the row's `file`: container, height, duration.

    Returns:
        The row's `file`.

    Raises:
        Fenced, CancelRequested, ShuttingDown: see `Attempt`.
        GiveUp: the folder is outside `DOWNLOAD_DIR` by now (a symlink was put there).
    """
    staged = _staged_path(attempt, _staging(attempt))
    _stage(attempt, source, staged)
    return _link_to_free_name(attempt, staged, name, facts)


def resume(attempt: Attempt[Download]) -> dict[str, Any] | None:
    """Finish what an earlier attempt began to publish; returns the row's `file`, or None if nothing was begun."""
    staged = _rename_staged(attempt)
    recorded = attempt.row.publishing
    if recorded is None:
        return None
    root = attempt.runtime.settings.download_dir
    if _is_recorded_file(root / recorded["path"], recorded):
        discard(attempt)
        return _file(recorded["path"], recorded["size"], recorded["facts"])
    if staged is not None:
        return _link_to_free_name(attempt, staged, recorded["name"], recorded["facts"])
    attempt.write(publishing=None)
    return None


def discard(attempt: Attempt[Download]) -> None:
    """Remove this attempt's staged files and marker."""
    marker = _marker(attempt)
    if marker.is_symlink():
        _staged_path(attempt, marker.readlink()).unlink(missing_ok=True)
        marker.unlink(missing_ok=True)
    _staged_path(attempt, marker.parent).unlink(missing_ok=True)


def _staging(attempt: Attempt[Download]) -> Path:
    staging = attempt.runtime.settings.download_dir / STAGING
    staging.mkdir(parents=True, exist_ok=True)
    return staging


def _staged_path(attempt: Attempt[Download], staging: Path) -> Path:
    return staging / f"{attempt.row.id}.{attempt.row.epoch}"


def _marker(attempt: Attempt[Download]) -> Path:
    return _staging(attempt) / f"{attempt.row.id}.{attempt.row.epoch}{MARKER_SUFFIX}"


def _stage(attempt: Attempt[Download], source: Path, staged: Path) -> None:
    """Link or copy the file into the staging folder and fsync it.

    Not a rename: a paused worker that resumes here would move away what its successor has fetched since.
    """
    try:
        os.link(source, staged)
    except OSError as error:
        if error.errno != errno.EXDEV and error.errno not in _LINKS_UNSUPPORTED:
            raise
        _copy(attempt, source, staged)
    with staged.open("rb") as file:
        os.fsync(file.fileno())


def _copy(attempt: Attempt[Download], source: Path, staged: Path) -> None:
    beaten = time.monotonic()
    with source.open("rb") as reader, staged.open("wb") as writer:
        while chunk := reader.read(_CHUNK):
            writer.write(chunk)
            if time.monotonic() - beaten >= 1.0:
                beaten = time.monotonic()
                attempt.beat({})


def _link_to_free_name(
    attempt: Attempt[Download], staged: Path, name: str, facts: Mapping[str, Any]
) -> dict[str, Any]:
    folder = _folder(attempt)
    identity = identity_of(staged.stat())
    number = 1
    while True:
        candidate = numbered(name, number) if number > 1 else name
        number += 1
        target = folder / candidate
        if os.path.lexists(target):
            continue
        path = str(target.relative_to(attempt.runtime.settings.download_dir))
        attempt.write(
            status="processing",
            publishing={"name": name, "path": path, "facts": dict(facts), **identity},
            published=identity,
        )
        try:
            _link(staged, target)
        except FileExistsError:
            continue
        except OSError as error:
            if error.errno != errno.EXDEV or staged.parent == folder / STAGING:
                raise
            return _link_to_free_name(
                attempt, _restage_on_file_system_of(attempt, staged, folder), name, facts
            )
        _sync_folder(folder)
        discard(attempt)
        return _file(path, identity["size"], facts)


def _link(staged: Path, target: Path) -> None:
    """Link the file to its final name; raises FileExistsError if the name is taken."""
    try:
        os.link(staged, target)
    except OSError as error:
        if error.errno not in _LINKS_UNSUPPORTED:
            raise
        # No hard links on this file system: reserve the name with O_EXCL, then rename over the reservation.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL, 0o644))
        staged.replace(target)


def _restage_on_file_system_of(attempt: Attempt[Download], staged: Path, folder: Path) -> Path:
    """Stage the file again below `folder`, with a marker by which successors and the clean-up find it."""
    other_staging, marker = folder / STAGING, _marker(attempt)
    other_staging.mkdir(exist_ok=True)
    marker.unlink(missing_ok=True)
    marker.symlink_to(other_staging)
    copied = _staged_path(attempt, other_staging)
    _stage(attempt, staged, copied)
    return copied


def _rename_staged(attempt: Attempt[Download]) -> Path | None:
    """Rename what earlier attempts staged, so that none of them can link it; returns the recorded file, if there."""
    staging = _staging(attempt)
    found = _rename_staged_in(attempt, staging)
    for marker in staging.glob(f"{attempt.row.id}.*{MARKER_SUFFIX}"):
        other_staging = marker.readlink()
        if marker != _marker(attempt):
            marker.replace(_marker(attempt))
        found = _rename_staged_in(attempt, other_staging) or found
    return found


def _rename_staged_in(attempt: Attempt[Download], staging: Path) -> Path | None:
    recorded = attempt.row.publishing
    found = None
    for path in staging.glob(f"{attempt.row.id}.*"):
        if path.suffix == MARKER_SUFFIX:
            continue
        if recorded is not None and _is_recorded_file(path, recorded):
            found = path.replace(_staged_path(attempt, staging))
        else:
            path.unlink(missing_ok=True)
    return found


def _is_recorded_file(path: Path, recorded: Mapping[str, Any]) -> bool:
    """Whether `path` has the recorded identity (`engine.storage.file_identity`)."""
    try:
        return is_same(path.lstat(), recorded)
    except FileNotFoundError:
        return False


def _folder(attempt: Attempt[Download]) -> Path:
    root = attempt.runtime.settings.download_dir
    try:
        confine(attempt.row.folder, root)
    except ValidationFailed:
        raise GiveUp(
            {
                "kind": "path",
                "message": "The download's folder leads out of the download folder by now.",
                "advice": "Ask for it again with another downloadPath.",
                "retryable": False,
            }
        ) from None
    folder = root / attempt.row.folder
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _file(path: str, size: int, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {"path": path, "size": size, **facts}


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
