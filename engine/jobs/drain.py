"""The sign that this worker shuts down, seen by its pool children as soon as the parent gets SIGTERM."""

from __future__ import annotations

import mmap
import signal
from types import FrameType

_flag = mmap.mmap(-1, 1)  # anonymous and shared: what the parent writes after the fork, the children read


class Draining(Exception):
    """The worker shuts down: stop, and give the row back uncounted."""


def draining() -> bool:
    """Whether the worker of this process shuts down."""
    return _flag[0] != 0


def start_draining() -> None:
    """Tell this process and all that it has forked."""
    _flag[0] = 1


def drain_on(*signals: signal.Signals) -> None:
    """Raise the flag in the handler of `signals` itself, then do what was done before.

    Celery's own `worker_shutting_down` comes only after the soft phase, which is too late for a job of minutes.
    """
    for number in signals:
        previous = signal.getsignal(number)

        def handle(received: int, frame: FrameType | None, previous: object = previous) -> None:
            start_draining()
            if callable(previous):
                previous(received, frame)

        signal.signal(number, handle)
