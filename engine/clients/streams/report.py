"""Reports one stream's progress to yt-dlp's progress hook: bytes, totals, speed over the last seconds."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

Hook = Callable[[Mapping[str, Any]], None]

_SAMPLES = 10  # that the speed is averaged over
_SAMPLE_SECONDS = 0.5


class TransferReport:
    """Thread-safe; exceptions from the hook propagate to the caller, which stops the transfer."""

    def __init__(self, hook: Hook, clock: Callable[[], float] = time.monotonic) -> None:
        self._hook, self._clock = hook, clock
        self._lock = threading.Lock()
        self._total: int | None = None
        self._pieces: int | None = None
        self._appended = self._index = 0
        self._in_progress: dict[int, int] = {}
        self._samples: deque[tuple[float, int]] = deque(maxlen=_SAMPLES)

    def expect(self, *, total: int | None = None, pieces: int | None = None) -> None:
        """Set the stream's length in bytes or in pieces, as far as its source declares them."""
        self._total, self._pieces = total, pieces

    def arrived(self, have: int, piece: int = 0) -> None:
        """`have` bytes of a piece have arrived; of a stream that is one file, `have` bytes of the file."""
        with self._lock:
            self._in_progress[piece] = have
            self._emit()

    def appended(self, length: int, piece: int) -> None:
        """A piece was appended with `length` bytes."""
        with self._lock:
            self._in_progress.pop(piece, None)
            self._append(length)

    def reused(self, length: int) -> None:
        """A piece of `length` bytes is there from an earlier attempt."""
        with self._lock:
            self._samples.clear()  # it was not transferred now, so it must not count as speed
            self._append(length)
            self._samples.clear()

    def _append(self, length: int) -> None:
        self._appended += length
        self._index += 1
        self._emit()

    def finished(self, size: int) -> None:
        """The stream is complete."""
        with self._lock:
            self._hook({"status": "finished", "downloaded_bytes": size, "total_bytes": size})

    def _emit(self) -> None:
        have = self._appended + sum(self._in_progress.values())
        status: dict[str, Any] = {
            "status": "downloading",
            "downloaded_bytes": have,
            "speed": self._speed(have),
        }
        if self._pieces:
            status |= {"fragment_count": self._pieces, "fragment_index": self._index}
            if self._index and not self._total:
                status["total_bytes_estimate"] = self._appended / self._index * self._pieces
        if self._total:
            status["total_bytes"] = self._total
        self._hook(status)

    def _speed(self, have: int) -> float | None:
        now = self._clock()
        if not self._samples or now - self._samples[-1][0] >= _SAMPLE_SECONDS:
            self._samples.append((now, have))
        since, before = self._samples[0]
        return (have - before) / (now - since) if now > since and have > before else None
