"""Log lines about what an attacker could cause without end: one a minute, with how often it was."""

from __future__ import annotations

import threading
import time
from typing import Any

import structlog

log = structlog.get_logger(__name__)

SECONDS = 60.0


class ThrottledWarning:
    """A warning that is written at its first cause, then once a minute at most.

    Args:
        event: the name of the line; `times` says how many causes there were since the line before.
    """

    def __init__(self, event: str) -> None:
        self._event = event
        self._lock = threading.Lock()
        self._times, self._silent_until = 0, 0.0

    def note(self, **details: Any) -> None:
        """Count one more; the details are those of the one that is written."""
        with self._lock:
            self._times += 1
            now = time.monotonic()
            if now < self._silent_until:
                return
            times, self._times, self._silent_until = self._times, 0, now + SECONDS
        log.warning(self._event, times=times, **details)
