"""Recognises a published file by inode, size and mtime, as another file may have its name by now."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any

# Nanoseconds: mtimes are no finer than this on FAT, and SMB servers may report them a moment later.
_SAME_TIME = 2_000_000_000


def identity_of(status: os.stat_result) -> dict[str, int]:
    """`{inode, size, mtime}` for a row; mtime in nanoseconds.

    Without the device number, which differs for the same file system between hosts and between boots.
    """
    return {"inode": status.st_ino, "size": status.st_size, "mtime": status.st_mtime_ns}


def is_same(status: os.stat_result, identity: Mapping[str, Any] | None) -> bool:
    """Whether it is a regular file with this identity; keys that are missing from `identity` match anything.

    The mtime distinguishes a later file that was given the inode of a removed one.
    """
    known = identity or {}
    return (
        stat.S_ISREG(status.st_mode)
        and known.get("inode", status.st_ino) == status.st_ino
        and known.get("size", status.st_size) == status.st_size
        and abs(known.get("mtime", status.st_mtime_ns) - status.st_mtime_ns) <= _SAME_TIME
    )
