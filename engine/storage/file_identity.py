"""Tells a published file from another that has its name: by inode, size and time of the last change."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any

# Nanoseconds. File systems keep times no finer than this (FAT), or bring them from a server a moment later (SMB).
_SAME_TIME = 2_000_000_000


def identity_of(status: os.stat_result) -> dict[str, int]:
    """What a file is known by, as plain values for a row.

    Not its device: the number of one and the same file system differs between hosts and between two boots.
    """
    return {"inode": status.st_ino, "size": status.st_size, "mtime": status.st_mtime_ns}


def is_same(status: os.stat_result, identity: Mapping[str, Any] | None) -> bool:
    """Whether a regular file is the one that `identity` tells of, as far as that was written down.

    The time tells a file from a later one that was given the same inode, which is free again once a file is removed.
    """
    known = identity or {}
    return (
        stat.S_ISREG(status.st_mode)
        and known.get("inode", status.st_ino) == status.st_ino
        and known.get("size", status.st_size) == status.st_size
        and abs(known.get("mtime", status.st_mtime_ns) - status.st_mtime_ns) <= _SAME_TIME
    )
