"""The threads of this process that wait for a preview: so many in all, and a share of them for each user."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from engine.downloads.previews.previews import TooManyPreviews
from engine.errors import ServiceUnavailable

_MOST = 8  # each holds a thread

_lock = threading.Lock()
_waiting: Counter[str] = Counter()


@contextmanager
def place_for(user_id: str, share: int) -> Iterator[None]:
    """Take a place for a user, who may have `share` of them, while the block lasts.

    Raises:
        TooManyPreviews: the user has that many. ServiceUnavailable: all together have all places.
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
