"""Waits for a slow server without forgetting the job: progress, lease and cancelling go on meanwhile."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from engine.clients.plex.errors import PlexUnreachable
from engine.jobs.runner import Attempt

T = TypeVar("T")

LONGEST_ANSWER_SECONDS = 300.0  # one that comes in drops would keep a sync busy for good

_BEAT_SECONDS = 1.0
_AHEAD = 2  # pages


class LeasedCalls:
    """Runs calls of the server in a thread beside the job's own.

    When the job is to end, the wait is left at once; the thread ends with its call, which has a timeout.
    """

    def __init__(self, attempt: Attempt[Any]) -> None:
        self._attempt = attempt
        self._beaten = time.monotonic()

    def check(self) -> None:
        """Renew the lease where it is time, and learn whether to go on.

        Raises:
            Exception: what `Attempt.beat` does.
        """
        if time.monotonic() - self._beaten >= _BEAT_SECONDS:
            self._attempt.beat({})
            self._beaten = time.monotonic()

    def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """The result of one call.

        Raises:
            Exception: what the call raises, and what `Attempt.beat` does.
        """
        results: Iterator[T] = self.each(iter([None]), lambda _: function(*args, **kwargs))
        return next(results)

    def each(self, source: Iterator[T], change: Callable[[T], Any] = lambda item: item) -> Iterator[Any]:
        """What an iterator gives, fetched up to two items ahead."""
        ready: queue.Queue[tuple[str, Any]] = queue.Queue(_AHEAD)
        stopped = threading.Event()

        def offer(kind: str, value: Any) -> bool:
            while not stopped.is_set():
                try:
                    ready.put((kind, value), timeout=_BEAT_SECONDS)
                except queue.Full:
                    continue
                return True
            return False

        def fetch() -> None:
            try:
                for item in source:
                    if not offer("item", change(item)):
                        return
                offer("end", None)
            except BaseException as error:  # noqa: BLE001 - raised again where the job waits
                offer("error", error)

        threading.Thread(target=fetch, name="plex-fetch", daemon=True).start()
        try:
            while True:
                kind, value = self._next(ready)
                if kind == "error":
                    raise value
                if kind == "end":
                    return
                yield value
        finally:
            stopped.set()

    def _next(self, ready: queue.Queue[tuple[str, Any]]) -> tuple[str, Any]:
        deadline = time.monotonic() + LONGEST_ANSWER_SECONDS
        while time.monotonic() < deadline:
            self.check()
            try:
                return ready.get(timeout=max(0.01, self._beaten + _BEAT_SECONDS - time.monotonic()))
            except queue.Empty:
                continue
        raise PlexUnreachable("The server takes too long for an answer.")
