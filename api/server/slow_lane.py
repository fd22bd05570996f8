"""Who may have their request read by a thread, which a slow client keeps for as long as it likes."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any

LANE_SECONDS = 30.0  # that a request waits for a place


class SlowLane:
    """Places for requests that are read by a thread, and the line before them.

    Args:
        places: requests at once.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._inside: dict[Any, str | None] = {}
        self._waiting: deque[tuple[Any, str | None, float]] = deque()

    def wait(self, conn: Any, address: str | None) -> None:
        """Stand in line; None as an address has no share."""
        self._waiting.append((conn, address, time.monotonic() + LANE_SECONDS))

    def admit(self) -> list[Any]:
        """Those whose turn it is."""
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

    def tired(self, now: float) -> list[Any]:
        """Those who have stood in line too long; they stand there no more."""
        gone = [conn for conn, _, until in self._waiting if until <= now]
        if gone:
            self._waiting = deque(each for each in self._waiting if each[2] > now)
        return gone
