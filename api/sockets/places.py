"""How many sockets of a process each user and each address may hold, so that none takes them all."""

from __future__ import annotations

import threading
from collections import Counter

from engine.errors import MediaNestError, ServiceUnavailable

KEPT_SHARE = 3  # one part in so many is kept for people who are signed in


class TooManySockets(MediaNestError):
    """One user, or one address, has enough of them."""

    code, status = "RATE_LIMIT_EXCEEDED", 429


class SocketsFull(ServiceUnavailable):
    """The process has no socket left, for anybody or for those who are not signed in."""


class SocketPlaces:
    """Counts sockets from the moment when one is admitted until it is closed; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()
        self._total = 0

    def take(self, whose: str, *, known: bool, share: int, capacity: int) -> None:
        """Take a place.

        Args:
            whose: who it is counted for.
            known: whether they are signed in; others leave one place in `KEPT_SHARE` free.
            share: places that one may have; 0: any number.
            capacity: places of the process.

        Raises:
            TooManySockets: they have their share.
            SocketsFull: there are no more.
        """
        with self._lock:
            if share and self._taken[whose] >= share:
                raise TooManySockets(
                    f"You have {share} sockets open here already: close one first.", retry_after=30
                )
            if self._total >= (capacity if known else capacity - capacity // KEPT_SHARE):
                raise SocketsFull("Too many sockets are open; try again later.")
            self._taken[whose] += 1
            self._total += 1

    def release(self, whose: str) -> None:
        """Give a place back."""
        with self._lock:
            self._total -= 1
            self._taken[whose] -= 1
            if self._taken[whose] <= 0:
                del self._taken[whose]
