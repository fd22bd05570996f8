"""Places for requests that wait for a preview: each holds a thread of the web process, so they are few."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from engine.downloads.previews.previews import TooManyPreviews
from engine.errors import ServiceUnavailable

_MOST = 8  # requests that wait at once in this process, each with a thread of its own

_lock = threading.Lock()
_waiting: Counter[str] = Counter()  # requests that wait, by user


@contextmanager
def place_for(user_id: str, share: int) -> Iterator[None]:
    """Take a place for a user, who may have `share` of them, while the block lasts.

    Raises:
        TooManyPreviews: the user has as many requests waiting as they may.
        ServiceUnavailable: all users together have.
    """
    with _lock:
        if _waiting[user_id] >= share:
            raise TooManyPreviews
        if _waiting.total() >= _MOST:
            raise ServiceUnavailable("Too many previews at once. Try again in a few seconds.")
        _waiting[user_id] += 1
    try:
        yield
    finally:
        with _lock:
            _waiting[user_id] -= 1
            if not _waiting[user_id]:
                del _waiting[user_id]
