"""Ctrl-C and its kin: the first ends a command in order, a second one ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class EndedBySignal(KeyboardInterrupt):
    """A signal asks us to end; `exit_code` is what a shell calls that."""

    def __init__(self, signum: int) -> None:
        super().__init__()
        self.exit_code = 128 + signum


_came: int | None = None
_shields = 0


@contextmanager
def heard() -> Iterator[None]:
    """Let signals raise `EndedBySignal` here, in the main thread; what was to be ignored (`nohup`) still is."""
    global _came, _shields
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _came, _shields = None, 0
    before = {signum: signal.getsignal(signum) for signum in _SIGNALS}
    for signum, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(signum, _on_signal)
    try:
        yield
    finally:
        if _came is None:  # else we end, and a second one still ends us at once
            for signum, handler in before.items():
                signal.signal(signum, handler)


@contextmanager
def shielded() -> Iterator[None]:
    """Let no signal break into what is done here; it is raised at the end.

    For short calls of libraries that hold locks which other threads need: an exception in the wrong place would leave
    one locked for good.

    Raises:
        EndedBySignal: a signal came, now or before, and was lost.
    """
    global _shields
    _shields += 1
    try:
        yield
    finally:
        _shields -= 1
        if _came is not None and _shields == 0:
            raise EndedBySignal(_came)


def _on_signal(signum: int, _: FrameType | None) -> None:
    global _came
    if _came is not None:
        os._exit(128 + signum)
    _came = signum
    if _shields == 0:
        raise EndedBySignal(signum)
