"""Follows a running attempt: progress columns and events, stall timeouts per phase, yielding to other users."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import DBAPIError

from engine.clients.fetch_signals import MetadataFound, Progress
from engine.downloads import turns as download_turns
from engine.downloads.events import event
from engine.jobs.lease import now
from engine.jobs.runner import Attempt, Yielded
from models.download import Download

_TURN_CHECK_SECONDS = 5.0  # seconds between two checks whether another user waits, at most
_EVENT_SECONDS = 0.5  # seconds between two progress events of one download


class Throughput:
    """Average speed of a transfer over a sliding window, pauses included."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def note(self, at: float, reached: int, window: float) -> None:
        """Add a sample: `reached` bytes at time `at`. Of samples older than `window` seconds only the last is kept."""
        self._points.append((at, reached))
        while len(self._points) > 1 and self._points[1][0] <= at - window:
            self._points.popleft()

    def is_below(self, speed: float, window: float) -> bool:
        """Whether the average over the last `window` seconds is below `speed` bytes per second."""
        if not self._points:
            return False
        (began, before), (at, reached) = self._points[0], self._points[-1]
        return at - began >= window and reached - before < speed * (at - began)


class AttemptMonitor:
    """Turns signals of the attempt's process into columns and events; yields the slot when another user is due."""

    def __init__(self, attempt: Attempt[Download]) -> None:
        self._attempt = attempt
        self._row = attempt.row
        self._phase = "extracting"
        self._last_event = self._last_turn_check = 0.0
        self._throughput = Throughput()

    def stall_seconds(self) -> float:
        """Seconds without a signal after which the present phase counts as stalled."""
        settings = self._attempt.runtime.settings
        return {
            "extracting": settings.extract_stall_seconds,
            "downloading": settings.download_stall_seconds,
            "processing": settings.process_stall_seconds,
        }[self._phase]

    def on_beat(self) -> None:
        """Check every few seconds whether this download must yield its slot to another user's (`turns.makes_room`).

        Raises:
            Yielded: it goes back to the queue.
        """
        runtime, now_here = self._attempt.runtime, time.monotonic()
        turn = runtime.settings.download_turn_seconds
        if self._phase == "downloading":
            self._throughput.note(now_here, self._row.downloaded_bytes or 0, turn)
        if self._phase == "processing" or now_here - self._last_turn_check < min(
            turn / 12, _TURN_CHECK_SECONDS
        ):
            return
        self._last_turn_check = now_here
        slow = self._throughput.is_below(runtime.settings.download_slow_speed, turn)
        try:
            with runtime.unit_of_work() as db:
                makes_room = download_turns.makes_room(db, runtime.settings, self._row, slow=slow)
        except DBAPIError:
            return  # the database is away: check again at the next beat
        if makes_room:
            raise Yielded(yielded_at=now(), speed=None, eta=None)

    def on_signal(self, signal: Any) -> Mapping[str, Any]:
        """The columns to write for a signal; publishes a progress event, at most every `_EVENT_SECONDS`."""
        changes = _columns(signal, self._row)
        phase_changed = isinstance(signal, MetadataFound) or signal.phase != self._phase
        if isinstance(signal, Progress):
            self._phase = signal.phase
        for column, value in changes.items():
            if column != "processing_at":
                setattr(self._row, column, value)
        if phase_changed or time.monotonic() - self._last_event >= _EVENT_SECONDS:
            self._last_event = time.monotonic()
            self._attempt.runtime.publish(event(self._row, "progress"))
        return changes


def _columns(signal: Any, row: Download) -> dict[str, Any]:
    if isinstance(signal, MetadataFound):
        found = signal.metadata
        return {
            "source_id": found.source_id,
            "title": found.title,
            "channel": found.channel,
            "duration": found.duration,
            "thumbnail": found.thumbnail,
        }
    if signal.phase == "extracting":
        return {}
    columns = {
        "downloaded_bytes": signal.downloaded_bytes,
        "total_bytes": signal.total_bytes,
        "speed": signal.speed,
        "eta": signal.eta,
        "progress": max(row.progress, min(99.0, 100.0 * (signal.fraction or 0.0))),
    }
    if signal.phase == "processing" and row.status != "processing":
        columns |= {"status": "processing", "processing_at": now(), "speed": None, "eta": None}
    return columns
