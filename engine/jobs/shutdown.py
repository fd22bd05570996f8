"""The sign that this worker shuts down, seen by its pool children as soon as the parent gets SIGTERM."""

from __future__ import annotations

import mmap
import os
import signal
import threading
from types import FrameType

import psutil

_flag = mmap.mmap(-1, 1)  # anonymous and shared: what the parent writes after the fork, the children read


class ShuttingDown(Exception):
    """The worker shuts down: stop, and give the row back uncounted."""


def own_flag() -> None:
    """Give this process, and all that it forks from now on, a flag of their own.

    To be called by a worker before it forks its pool: a worker may itself be forked from a process that has loaded this
    module, and would share the flag with all other workers of it, the earlier ones included.
    """
    global _flag
    _flag = mmap.mmap(-1, 1)


def is_shutting_down() -> bool:
    """Whether the worker of this process shuts down."""
    return _flag[0] != 0


def start_shutdown() -> None:
    """Tell this process and all that it has forked."""
    _flag[0] = 1


def shut_down_on(*signals: signal.Signals, end_after: float) -> None:
    """Raise the flag in the handler of `signals` itself, then call the former one; after `end_after` s, just end.

    Celery's own `worker_shutting_down` comes only after the soft phase, which is too late for a job of minutes. And
    its shutdown waits for Redis without a limit: a worker that is told to go while Redis is away would stay for good.
    By then its jobs have been given back, or their leases will.
    """
    last_resort = threading.Timer(end_after, _end_now)
    last_resort.daemon = True
    for number in signals:
        previous = signal.getsignal(number)

        def handle(received: int, frame: FrameType | None, previous: object = previous) -> None:
            if not is_shutting_down():
                start_shutdown()
                last_resort.start()
            if callable(previous):
                previous(received, frame)

        signal.signal(number, handle)


def _end_now() -> None:
    """End this process with all it has started, whatever it waits for."""
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(1)
