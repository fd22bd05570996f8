"""Counts what has arrived of one stream and tells its progress hook, with a speed over the last seconds."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

Hook = Callable[[Mapping[str, Any]], None]

_MARKS = 10  # of the past seconds, half a second apart: what the speed is taken over
_APART = 0.5


class TransferReport:
    """Thread-safe; whatever the hook raises comes through to whoever fetches."""

    def __init__(self, hook: Hook, clock: Callable[[], float] = time.monotonic) -> None:
        self._hook, self._clock = hook, clock
        self._lock = threading.Lock()
        self._total: int | None = None
        self._pieces: int | None = None
        self._appended = self._index = 0
        self._under_way: dict[int, int] = {}
        self._marks: deque[tuple[float, int]] = deque(maxlen=_MARKS)

    def expect(self, *, total: int | None = None, pieces: int | None = None) -> None:
        """How long the stream is, in bytes or in pieces, as far as its source said."""
        self._total, self._pieces = total, pieces

    def arrived(self, have: int, piece: int = 0) -> None:
        """So many bytes of a piece are here; of a stream that is one file, of the file."""
        with self._lock:
            self._under_way[piece] = have
            self._tell()

    def appended(self, length: int, piece: int) -> None:
        """A piece is in its place, with so many bytes."""
        with self._lock:
            self._under_way.pop(piece, None)
            self._append(length)

    def held(self, length: int) -> None:
        """A piece is there from an earlier attempt."""
        with self._lock:
            self._marks.clear()  # that it took no time is no speed
            self._append(length)
            self._marks.clear()

    def _append(self, length: int) -> None:
        self._appended += length
        self._index += 1
        self._tell()

    def finished(self, size: int) -> None:
        """The stream is complete."""
        with self._lock:
            self._hook({"status": "finished", "downloaded_bytes": size, "total_bytes": size})

    def _tell(self) -> None:
        have = self._appended + sum(self._under_way.values())
        told: dict[str, Any] = {"status": "downloading", "downloaded_bytes": have, "speed": self._speed(have)}
        if self._pieces:
            told |= {"fragment_count": self._pieces, "fragment_index": self._index}
            if self._index and not self._total:
                told["total_bytes_estimate"] = self._appended / self._index * self._pieces
        if self._total:
            told["total_bytes"] = self._total
        self._hook(told)

    def _speed(self, have: int) -> float | None:
        now = self._clock()
        if not self._marks or now - self._marks[-1][0] >= _APART:
            self._marks.append((now, have))
        since, before = self._marks[0]
        return (have - before) / (now - since) if now > since and have > before else None
