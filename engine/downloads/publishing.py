"""Puts a finished file under its final name: atomic, never overwriting, once, even when workers die or thaw.

The order of steps is what makes it safe, on one host or on several that share `DOWNLOAD_DIR`:

1. The file is brought into the staging folder under a name of its row and epoch, and forced to disk.
2. One fenced write records the name it will get, and the inode it has. Whoever lost the row stops here.
3. A hard link gives it the name; a link never overwrites. Where the folder lies on another file system than the
   staging folder (a mount below `DOWNLOAD_DIR`), the file is first staged anew, in a folder of the same name there,
   a mark in the first one tells where that is, and step 2 is done again.
4. The row is completed in a fenced write; then the staged name goes.

A successor first renames what its predecessors staged. From then on none of them can link any more, however long
it slept between its fenced write and its link: the name it would link from is gone. Then the successor looks for
the recorded inode under the recorded name. It is there: the file was published, and only the row must be
completed. It is not: the successor links what it took over, or starts again.
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
NEAR = ".near"  # ends the name of a mark: a link to the other staging folder of an attempt
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}


def publish(attempt: Attempt[Download], source: Path, name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Bring `source` to `DOWNLOAD_DIR/<folder>/<name>`, or the next free numbered name.

    Args:
        attempt: of the row; its lease is kept while a large file is copied from another file system.
        source: the finished file in the work folder.
        name: the wished file name.
        facts: what else the row's `file` says: container, height, duration.

    Returns:
        The row's `file`.

    Raises:
        Fenced, CancelRequested, Draining: see `Attempt`.
        GiveUp: the folder leads out of `DOWNLOAD_DIR` by now.
    """
    staged = _own(attempt, _staging(attempt))
    _bring(attempt, source, staged)
    return _name_it(attempt, staged, name, facts)


def adopt(attempt: Attempt[Download]) -> dict[str, Any] | None:
    """Finish what a predecessor began to publish; None where there is nothing to finish."""
    staged = _take_over(attempt)
    begun = attempt.row.publishing
    if begun is None:
        return None
    root = attempt.runtime.settings.download_dir
    if _is(root / begun["path"], begun):
        discard(attempt)
        return _file(begun["path"], begun["size"], begun["facts"])
    if staged is not None:
        return _name_it(attempt, staged, begun["name"], begun["facts"])
    attempt.write(publishing=None)
    return None


def discard(attempt: Attempt[Download]) -> None:
    """Remove what this attempt staged and has not published."""
    mark = _mark(attempt)
    if mark.is_symlink():
        _own(attempt, mark.readlink()).unlink(missing_ok=True)
        mark.unlink(missing_ok=True)
    _own(attempt, mark.parent).unlink(missing_ok=True)


def _staging(attempt: Attempt[Download]) -> Path:
    staging = attempt.runtime.settings.download_dir / STAGING
    staging.mkdir(parents=True, exist_ok=True)
    return staging


def _own(attempt: Attempt[Download], staging: Path) -> Path:
    return staging / f"{attempt.row.id}.{attempt.row.epoch}"


def _mark(attempt: Attempt[Download]) -> Path:
    return _staging(attempt) / f"{attempt.row.id}.{attempt.row.epoch}{NEAR}"


def _bring(attempt: Attempt[Download], source: Path, staged: Path) -> None:
    """Bring the file to the staging folder and force it to disk.

    By a link, not by a rename: a sleeper that thaws here would move away what its successor has fetched since.
    """
    try:
        os.link(source, staged)
    except OSError as error:
        if error.errno != errno.EXDEV and error.errno not in _NO_LINKS:
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


def _name_it(attempt: Attempt[Download], staged: Path, name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
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
            return _name_it(attempt, _bring_near(attempt, staged, folder), name, facts)
        _sync_folder(folder)
        discard(attempt)
        return _file(path, identity["size"], facts)


def _link(staged: Path, target: Path) -> None:
    """Give the file its name without overwriting; raises FileExistsError where the name is taken."""
    try:
        os.link(staged, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links: reserve the name, then replace the reservation.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL, 0o644))
        staged.replace(target)


def _bring_near(attempt: Attempt[Download], staged: Path, folder: Path) -> Path:
    """Stage the file anew on the file system of `folder`; by the mark successors and the janitor find it."""
    near, mark = folder / STAGING, _mark(attempt)
    near.mkdir(exist_ok=True)
    mark.unlink(missing_ok=True)
    mark.symlink_to(near)
    copied = _own(attempt, near)
    _bring(attempt, staged, copied)
    return copied


def _take_over(attempt: Attempt[Download]) -> Path | None:
    """Rename what predecessors staged, so that none of them can link it any more; returns what was recorded."""
    staging = _staging(attempt)
    found = _take_over_in(attempt, staging)
    for mark in staging.glob(f"{attempt.row.id}.*{NEAR}"):
        near = mark.readlink()
        if mark != _mark(attempt):
            mark.replace(_mark(attempt))
        found = _take_over_in(attempt, near) or found
    return found


def _take_over_in(attempt: Attempt[Download], staging: Path) -> Path | None:
    begun = attempt.row.publishing
    found = None
    for path in staging.glob(f"{attempt.row.id}.*"):
        if path.suffix == NEAR:
            continue
        if begun is not None and _is(path, begun):
            found = path.replace(_own(attempt, staging))
        else:
            path.unlink(missing_ok=True)
    return found


def _is(path: Path, begun: Mapping[str, Any]) -> bool:
    """Whether `path` is the very file that was recorded."""
    try:
        return is_same(path.lstat(), begun)
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
