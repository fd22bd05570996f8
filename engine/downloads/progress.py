"""What is heard of an attempt on its way: columns and events, how patient to be, when to make room for others."""

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

_LOOK_FOR_OTHERS = 5.0  # seconds between two looks whether others wait, at most
_EVENT_PAUSE = 0.5  # seconds between two progress events of one download


class Pace:
    """How fast a transfer is over a while, pauses included."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def note(self, at: float, reached: int, window: float) -> None:
        """So many bytes are there now; what is older than `window` seconds is forgotten, but for the last of it."""
        self._points.append((at, reached))
        while len(self._points) > 1 and self._points[1][0] <= at - window:
            self._points.popleft()

    def is_below(self, speed: float, window: float) -> bool:
        """Whether it was slower than `speed` bytes a second for a whole `window` of seconds."""
        if not self._points:
            return False
        (began, before), (at, reached) = self._points[0], self._points[-1]
        return at - began >= window and reached - before < speed * (at - began)


class Watcher:
    """Turns what the attempt's process says into columns and events, and knows how patient to be."""

    def __init__(self, attempt: Attempt[Download]) -> None:
        self._attempt = attempt
        self._row = attempt.row
        self._phase = "extracting"
        self._told = self._asked = 0.0
        self._pace = Pace()

    def patience(self) -> float:
        """Seconds that the present phase may be silent."""
        settings = self._attempt.runtime.settings
        return {
            "extracting": settings.extract_stall_seconds,
            "downloading": settings.download_stall_seconds,
            "processing": settings.process_stall_seconds,
        }[self._phase]

    def beat(self) -> None:
        """Make room where another user's download waits too long for its first place.

        Raises:
            Yielded: this one goes back to the queue.
        """
        runtime, now_here = self._attempt.runtime, time.monotonic()
        turn = runtime.settings.download_turn_seconds
        if self._phase == "downloading":
            self._pace.note(now_here, self._row.downloaded_bytes or 0, turn)
        if self._phase == "processing" or now_here - self._asked < min(turn / 12, _LOOK_FOR_OTHERS):
            return
        self._asked = now_here
        slow = self._pace.is_below(runtime.settings.download_slow_speed, turn)
        try:
            with runtime.unit_of_work() as db:
                makes_room = download_turns.makes_room(db, runtime.settings, self._row, slow=slow)
        except DBAPIError:
            return  # whoever is away says so at the next beat
        if makes_room:
            raise Yielded(yielded_at=now(), speed=None, eta=None)

    def heard(self, signal: Any) -> Mapping[str, Any]:
        """Columns to write for a signal; tells the sockets, but not too often."""
        changes = _columns(signal, self._row)
        turned = isinstance(signal, MetadataFound) or signal.phase != self._phase
        if isinstance(signal, Progress):
            self._phase = signal.phase
        for column, value in changes.items():
            if column != "processing_at":
                setattr(self._row, column, value)
        if turned or time.monotonic() - self._told >= _EVENT_PAUSE:
            self._told = time.monotonic()
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
