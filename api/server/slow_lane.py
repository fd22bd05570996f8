"""The queue for threads that read a request from its client: a slow client keeps one for as long as it sends."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any

LANE_SECONDS = 30.0  # that a request waits for a place


class SlowLane:
    """Places for requests that are read by a thread, and a queue for them.

    Args:
        places: requests at once.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._inside: dict[Any, str | None] = {}
        self._waiting: deque[tuple[Any, str | None, float]] = deque()

    def wait(self, conn: Any, address: str | None) -> None:
        """Queue a connection; without an address it is not limited to a share of the places."""
        self._waiting.append((conn, address, time.monotonic() + LANE_SECONDS))

    def admit(self) -> list[Any]:
        """Take those from the queue for which there is a place."""
        admitted, left = [], deque[tuple[Any, str | None, float]]()
        shares = Counter(self._inside.values())
        for conn, address, until in self._waiting:
            full = len(self._inside) >= self._places
            if full or (address is not None and shares[address] >= max(1, self._places // 2)):
                left.append((conn, address, until))
                continue
            self._inside[conn] = address
            shares[address] += 1
            admitted.append(conn)
        self._waiting = left
        return admitted

    def leave(self, conn: Any) -> bool:
        """Give a place back; False where there was none."""
        return self._inside.pop(conn, self) is not self

    def timed_out(self, now: float) -> list[Any]:
        """Take those from the queue that have waited for `LANE_SECONDS`."""
        gone = [conn for conn, _, until in self._waiting if until <= now]
        if gone:
            self._waiting = deque(each for each in self._waiting if each[2] > now)
        return gone
