"""What `ps` shows of a forked process: the command that it stands for, in place of that of the fork server."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

# The memory of the arguments can't grow, so the fork server is started with one more, which leaves this room.
ROOM = " " * 1000


def show_as(words: Sequence[str]) -> None:
    """Write `words` over the arguments that this process was started with; what doesn't fit is cut off (Linux).

    The environment behind them is left alone: marks are found there.
    """
    # Fields 48 and 49 of proc_pid_stat(5), counted after the name, which may hold anything.
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    room = end - start - 2
    if room > 0:
        title = " ".join(words).encode()[:room]
        # The kernel takes a last byte that is no zero as the sign of a title: one string, to its first zero.
        ctypes.memmove(start, title.ljust(room + 1, b"\0") + b"\1", room + 2)
