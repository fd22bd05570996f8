"""What an attempt may take of memory and time, with all the programs it starts, and what is said when it takes more."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Any

import psutil

from engine.jobs.runner import Retry

_TRIED_AGAIN = "It is tried again by itself."


class Stuck(Retry):
    """No sign of life for longer than its phase allows; the process was killed."""

    def __init__(self) -> None:
        super().__init__(
            _said(
                "stuck",
                "Nothing moved any more, so the attempt was ended.",
                "It is tried again by itself and goes on where it stopped.",
            ),
            given_up="Try it again later; an admin finds in the log when it stood still.",
        )


class OverMemory(Retry):
    """The attempt or a program of it wanted more memory than they may have together."""

    def __init__(self) -> None:
        super().__init__(
            _said(
                "too_much_memory",
                "This took more memory than one job may have, so the attempt was ended.",
                _TRIED_AGAIN,
            ),
            given_up="Choose a lower quality or another format. An admin can raise DOWNLOAD_MEMORY_LIMIT.",
        )


class OverTime(Retry):
    """The attempt as a whole took longer than it may."""

    def __init__(self) -> None:
        super().__init__(
            _said("too_long", "This took longer than one attempt may, so it was ended.", _TRIED_AGAIN),
            limit=True,
            given_up="Choose a lower quality or another format. An admin can raise DOWNLOAD_ATTEMPT_SECONDS.",
        )


def _said(kind: str, message: str, advice: str) -> dict[str, Any]:
    return {"kind": kind, "message": message, "advice": advice, "retryable": True}


def bound_memory(most: int) -> None:
    """From now on this process and each program it starts fail to allocate more than `most` bytes; for good.

    That stops what asks for very much at once, sooner than anybody could look. It bounds each of them alone, and not
    what they share: `memory_of` sees that.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def memory_of(pid: int) -> int:
    """Bytes of main memory that a process and all it has started occupy now; 0 where it is gone."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += each.memory_info().rss
    return total


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether a `MemoryError` is among the causes of an error."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, MemoryError):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
