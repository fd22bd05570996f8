"""Redis clients with timeouts, so that a Redis that is frozen never freezes us."""

from __future__ import annotations

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.settings import Settings


def make_redis(settings: Settings, *, timeout: float = 2.0) -> redis.Redis:
    """Make a client for events and small questions; connects on first use.

    Args:
        settings: with a `redis_url`.
        timeout: seconds that one command may take; there is one silent retry, for a connection that went stale.
    """
    return redis.Redis.from_url(
        settings.redis_url,
        socket_timeout=timeout,
        socket_connect_timeout=min(timeout, 1.0),
        health_check_interval=10,
        retry=Retry(NoBackoff(), 1),
    )


def make_subscriber(settings: Settings) -> redis.Redis:
    """Make a client for a subscription: it may wait for long, and notices a dead peer by its own pings."""
    tcp = {} if settings.redis_url.startswith("unix:") else {"socket_keepalive": True}
    return redis.Redis.from_url(settings.redis_url, socket_timeout=None, socket_connect_timeout=3.0, **tcp)
