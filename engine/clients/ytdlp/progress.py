"""Combines the progress of all streams and of ffmpeg into one fraction that never decreases."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from engine.clients.fetch_errors import FetchError
from engine.clients.fetch_signals import Emit, Phase, Progress

_INTERVAL = 0.25  # seconds between two signals of one phase


class Expected(NamedTuple):
    """A stream's declared size in bytes, if any, and its weight among the streams (its bit rate)."""

    size: int | None
    weight: float


@dataclass
class _Stream:
    """One stream: bytes downloaded, bytes expected, and `share`, the fraction done from 0 to 1."""

    expected: int | None
    weight: float
    downloaded: int = 0
    total: int | None = None
    share: float | None = None
    speed: float | None = None
    done: bool = False


class Meter:
    """Sums up the streams and emits at most four times a second, besides the first and the last of each phase.

    `downloads_share` is the fraction of the attempt that is done with the last byte; the rest is ffmpeg's. Hooks may be
    called from several threads. Above `max_bytes` of all streams, or `max_seconds` of downloading, they raise
    `FetchError` (too_large, too_slow).
    """

    def __init__(
        self,
        emit: Emit,
        expected: Sequence[Expected],
        *,
        downloads_share: float,
        max_bytes: int | None = None,
        max_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._emit, self._clock = emit, clock
        self._streams = [_Stream(each.size, each.weight) for each in expected]
        self._downloads_share, self._max_bytes = downloads_share, max_bytes
        self._ends_at = clock() + max_seconds if max_seconds else None
        self._phase: Phase = "downloading"
        self._fraction: float | None = None
        self._downloaded = 0
        self._next_at: float | None = None
        self._lock = threading.Lock()

    def hook(self, index: int) -> Callable[[Mapping[str, Any]], None]:
        """The progress hook of one stream; takes the status dictionaries of yt-dlp's downloaders."""

        def on_status(status: Mapping[str, Any]) -> None:
            with self._lock:
                if self._streams[index].done or status.get("status") not in {"downloading", "finished"}:
                    return
                self._update(self._streams[index], status)
                self._check_limits()
                self._signal(last=self._streams[index].done and all(stream.done for stream in self._streams))

        return on_status

    def alive(self) -> None:
        """Emit the same progress again, so that work without measurable progress does not count as stalled."""
        with self._lock:
            self._signal(last=False)

    def processing(self, part: float | None) -> None:
        """Emit ffmpeg's progress: the fraction done from 0 to 1, or None if unknown."""
        with self._lock:
            entered, self._phase = self._phase != "processing", "processing"
            if part is not None:
                rest = 1.0 - self._downloads_share
                self._raise_to(self._downloads_share + rest * min(max(part, 0.0), 1.0))
            self._signal(last=entered or part == 1.0)

    def _update(self, stream: _Stream, status: Mapping[str, Any]) -> None:
        total = status.get("total_bytes") or status.get("total_bytes_estimate")
        stream.downloaded = max(stream.downloaded, int(status.get("downloaded_bytes") or 0))
        stream.total = int(total) if total else stream.expected
        stream.speed = status.get("speed") or stream.speed
        fragments = status.get("fragment_count")
        if fragments:  # total bytes are an estimate then, so they only count within the current fragment
            index = status.get("fragment_index") or 0
            guess = stream.downloaded / stream.total if stream.total else 0.0
            stream.share = max(index / fragments, min(guess, (index + 1) / fragments))
        elif stream.total:
            stream.share = stream.downloaded / stream.total
        if status["status"] == "finished":
            stream.downloaded = stream.total = int(total) if total else stream.downloaded
            stream.share, stream.done = 1.0, True

    def _check_limits(self) -> None:
        if self._ends_at is not None and self._clock() > self._ends_at:
            raise FetchError("too_slow")
        size = sum(stream.downloaded for stream in self._streams)
        if self._max_bytes and size > self._max_bytes:
            raise FetchError("too_large")

    def _raise_to(self, fraction: float) -> None:
        self._fraction = max(self._fraction or 0.0, min(fraction, 1.0))

    def _signal(self, *, last: bool) -> None:
        now = self._clock()
        if not last and self._next_at is not None and now < self._next_at:
            return
        self._next_at = now + _INTERVAL
        self._downloaded = max(self._downloaded, sum(stream.downloaded for stream in self._streams))
        total = self._total()
        share = self._share(total)
        if share is not None and self._phase == "downloading":
            self._raise_to(share * self._downloads_share)
        speed = self._speed()
        left = max(total - self._downloaded, 0) if total is not None else None
        self._emit(
            Progress(
                phase=self._phase,
                downloaded_bytes=self._downloaded,
                total_bytes=max(total, self._downloaded) if total is not None else None,
                speed=speed,
                eta=left / speed if left is not None and speed else None,
                fraction=self._fraction,
            )
        )

    def _speed(self) -> float | None:
        running = [stream.speed for stream in self._streams if not stream.done and stream.downloaded]
        return float(running[-1]) if self._phase == "downloading" and running and running[-1] else None

    def _total(self) -> int | None:
        """Bytes of all streams; None while the size of one is unknown."""
        sizes = [stream.total or stream.expected for stream in self._streams]
        return sum(size for size in sizes if size) if all(sizes) else None

    def _share(self, total: int | None) -> float | None:
        """The fraction done of all streams, weighted by size if all are known, otherwise by bit rate."""
        if all(stream.share is None for stream in self._streams):
            return None
        weights = [
            (stream.total or stream.expected or 0) if total else stream.weight for stream in self._streams
        ]
        done = sum(w * (s.share or 0.0) for w, s in zip(weights, self._streams, strict=True))
        return done / sum(weights)
