"""Opens a file below a folder without following a symbolic link, whatever its names mean by now."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO would wait for whoever writes into it.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotAFile(OSError):
    """A symbolic link, folder, FIFO, socket or device is where a file, or a folder on the way to it, was expected."""


def open_below(root: Path, path: str) -> int:
    """A descriptor to read a regular file by, opened component by component (openat with O_NOFOLLOW).

    Args:
        root: the folder; it may be reached through symbolic links itself.
        path: relative to `root`, with `/`.

    Raises:
        FileNotFoundError: it, a folder on the way, or `root` is not there.
        NotAFile: one of them is something else.
        OSError: the file system refuses.
    """
    *folders, name = path.split("/")
    if {"", ".", ".."} & {*folders, name} or "\0" in path:
        raise NotAFile(path)
    with ExitStack() as opened:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        opened.callback(os.close, folder)
        for each in folders:
            _expect(os.stat(each, dir_fd=folder, follow_symlinks=False), stat.S_ISDIR)
            folder = os.open(each, _FOLDER, dir_fd=folder)
            opened.callback(os.close, folder)
        # Looked at before it is opened, since opening a device may already do something; and again afterwards.
        _expect(os.stat(name, dir_fd=folder, follow_symlinks=False), stat.S_ISREG)
        descriptor = os.open(name, _FILE, dir_fd=folder)
    try:
        _expect(os.fstat(descriptor), stat.S_ISREG)
    except NotAFile:
        os.close(descriptor)
        raise
    return descriptor


def _expect(status: os.stat_result, is_kind: Callable[[int], bool]) -> None:
    if not is_kind(status.st_mode):
        raise NotAFile
