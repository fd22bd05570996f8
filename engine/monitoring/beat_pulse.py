"""The heartbeat of celery beat, in Redis: beat has no database connection, and without Redis it can't send anything."""

from __future__ import annotations

import threading

import redis
import structlog

log = structlog.get_logger(__name__)

KEY = "medianest:beat"
EVERY = 5.0  # seconds between two pulses
FRESH = 30  # seconds after which beat counts as dead


def pulse_forever(client: redis.Redis) -> None:
    """Write the heartbeat periodically; errors of Redis are ignored."""
    pause = threading.Event()
    while True:
        try:
            client.set(KEY, "1", ex=FRESH)
        except redis.RedisError as error:
            log.warning("pulse.redis_away", error=type(error).__name__)
        pause.wait(EVERY)


def is_beating(client: redis.Redis) -> bool:
    """Whether beat has written a recent heartbeat.

    Raises:
        redis.RedisError: Redis can't be asked.
    """
    return bool(client.exists(KEY))
