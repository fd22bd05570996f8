"""Trying a channel: a message to it now, and whether it arrived."""

from __future__ import annotations

import time
from typing import NamedTuple

from engine.notifications import deliveries, preferences
from engine.runtime import Runtime
from models.delivery import Delivery

_SECONDS = 20.0  # that are waited for a worker
_PAUSE = 0.1


class Tried(NamedTuple):
    """Whether a message arrived, and a sentence that says why not."""

    delivered: bool
    error: str | None


def try_channel(runtime: Runtime, user_id: str, channel_id: str) -> Tried:
    """Send a message to a channel, and wait until a worker has tried; opens its own units of work.

    Raises:
        NotFound: the channel is not theirs.
    """
    with runtime.unit_of_work() as db:
        row = deliveries.test(db, preferences.channel_of(db, user_id, channel_id))
    ended = _waited_for(runtime, row.id)
    if ended is None:
        return Tried(False, "No worker has sent it yet; it is sent when one is there.")
    if ended.status == "completed":
        return Tried(True, None)
    return Tried(False, (ended.error or {}).get("message"))


def _waited_for(runtime: Runtime, delivery_id: str) -> Delivery | None:
    """A delivery that has ended; None: nobody ended it in time."""
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        with runtime.reading() as db:
            row = db.get(Delivery, delivery_id)
        if row is None or row.ended_at is not None:
            return row
        time.sleep(_PAUSE)
    return None
