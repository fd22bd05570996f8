"""A circuit breaker for Redis: one that failed is left alone for a while, until a caller finds that it is back."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import TypeVar

import redis
import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")


class RedisBreaker:
    """Closed while Redis answers; open from a failure until a call has gone through.

    While it is open one call in `seconds` is let through; all others are answered without waiting for Redis. Both
    changes are logged, once each.

    Args:
        seconds: that a Redis which failed is left alone.
        away: name of the log line, a warning, when it opens.
        back: name of the log line when it closes.
    """

    def __init__(self, seconds: float, *, away: str, back: str) -> None:
        self._seconds, self._away, self._back = seconds, away, back
        self._lock = Lock()
        self._open = False
        self._next_try = 0.0

    def ask(self, question: Callable[[], T], instead: Callable[[], T], *, must: bool = False) -> T:
        """What `question` returns; what `instead` does where Redis is left alone or fails.

        Args:
            question: a call of redis-py; a `RedisError` that it raises opens the breaker.
            instead: the answer without Redis.
            must: try even while the breaker is open.
        """
        opened = self._open
        if opened and not self._may_try() and not must:
            return instead()
        try:
            answer = question()
        except redis.RedisError as error:
            self._failed(error)
            return instead()
        if opened:
            self._answered()
        return answer

    def _may_try(self) -> bool:
        with self._lock:
            now = time.monotonic()
            if now < self._next_try:
                return False
            self._next_try = now + self._seconds
            return True

    def _failed(self, error: redis.RedisError) -> None:
        with self._lock:
            known, self._open = self._open, True
            self._next_try = time.monotonic() + self._seconds
        if not known:
            log.warning(self._away, error=type(error).__name__)

    def _answered(self) -> None:
        with self._lock:
            known, self._open = self._open, False
        if known:
            log.info(self._back)
