"""The pulse of celery beat, in Redis: beat needs no database, and without Redis it could send nothing anyway."""

from __future__ import annotations

import threading

import redis
import structlog

log = structlog.get_logger(__name__)

KEY = "medianest:beat"
EVERY = 5.0  # seconds between two pulses
FRESH = 30  # seconds after which beat is taken for dead


def pulse_forever(client: redis.Redis) -> None:
    """Say again and again that beat is alive; Redis may be away meanwhile."""
    pause = threading.Event()
    while True:
        try:
            client.set(KEY, "1", ex=FRESH)
        except redis.RedisError as error:
            log.warning("pulse.redis_away", error=type(error).__name__)
        pause.wait(EVERY)


def is_beating(client: redis.Redis) -> bool:
    """Whether a beat has been alive lately.

    Raises:
        redis.RedisError: Redis can't be asked.
    """
    return bool(client.exists(KEY))
