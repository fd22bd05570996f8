"""How many threads may wait for one service at once, and a pause for a service that does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

FAILURES = 3  # in a row, after which it is left alone
PAUSE_SECONDS = 10.0
QUICK_SECONDS = 1.0  # while its answers take no longer, others wait for a place
WAIT_SECONDS = 2.0  # and no longer than this


class GateClosed(Exception):
    """The service was not asked, because the gate is closed or crowded; the text says which."""


class Gate:
    """What all conversations of a process with one service pass.

    Args:
        places: questions at once.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._changed = threading.Condition()
        self._inside: dict[object, float] = {}  # since when, the oldest first
        self._failures, self._closed_until = 0, 0.0

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around one question; it has failed when it raises anything.

        Raises:
            GateClosed: too many wait already, or the last ones failed.
        """
        question, failed = object(), True
        with self._changed:
            self._wait_for_a_place()
            self._inside[question] = time.monotonic()
        try:
            yield
            failed = False
        finally:
            with self._changed:
                del self._inside[question]
                self._failures = self._failures + 1 if failed else 0
                self._closed_until = time.monotonic() + PAUSE_SECONDS if self._failures >= FAILURES else 0.0
                self._changed.notify_all()

    def _wait_for_a_place(self) -> None:
        until = time.monotonic() + WAIT_SECONDS
        while True:
            now = time.monotonic()
            if now < self._closed_until:
                raise GateClosed("it failed several times in a row")
            if len(self._inside) < self._places:
                return
            left = min(until, next(iter(self._inside.values())) + QUICK_SECONDS) - now
            if left <= 0:
                raise GateClosed("enough requests wait for it")
            self._changed.wait(left)


@lru_cache(maxsize=64)
def gate_of(base: str, places: int) -> Gate:
    """The gate of this process before a service."""
    return Gate(places)
