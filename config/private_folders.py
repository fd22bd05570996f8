"""Closes what is private below DATA_DIR to other users of the machine, in older installations too."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

# Whoever may enter DATA_DIR can't see what is in it: finished files below it are read by Plex, under another user.
_ENTERED = 0o711
_FOLDERS = ("artwork", "work")
_FILES = ("celerybeat-schedule", "postgres.log", "postgres.log.1", "redis.log", "redis.log.1")


def make(data_dir: Path) -> None:
    """Make DATA_DIR where it is missing, and close it.

    Raises:
        OSError: it can't be made.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    close(data_dir)


def close(data_dir: Path) -> None:
    """Take from others what they had no need of, where it is ours to take.

    Nothing is opened further than it was. Keys, and folders of databases, have been private since they were made, and
    DOWNLOAD_DIR is left as it is.
    """
    _narrow(data_dir, _ENTERED)
    for name in _FOLDERS:
        _narrow(data_dir / name, 0o700)
    for name in _FILES:
        _narrow(data_dir / name, 0o600)


def _narrow(path: Path, most: int) -> None:
    with suppress(OSError):  # not there, or a file system without rights
        found = path.lstat()
        mode = stat.S_IMODE(found.st_mode)
        if stat.S_ISLNK(found.st_mode) or found.st_uid != os.geteuid() or mode & ~most == 0:
            return
        path.chmod(mode & most)
