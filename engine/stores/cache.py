"""Caches answers of other systems in Redis; while Redis is away, every read is a miss and nothing fails."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Lock
from typing import Any

import orjson
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.redis import make_redis
from config.settings import Settings
from engine.stores.redis_breaker import RedisBreaker

TTL_SECONDS = 86400  # longer than values are fresh: callers decide by their age
_TIMEOUT = 0.25  # seconds that a request waits for Redis
_PAUSE = 3.0  # seconds without requests to Redis after one failed
_PREFIX = "medianest:cache:"


@dataclass(frozen=True)
class CachedValue:
    """A value from the cache; `age` in seconds."""

    value: Any
    age: float


class Cache:
    """JSON values by name.

    Args:
        settings: `redis_url`, connected to on first use; with `REDIS_ENABLED=false` nothing is cached.
    """

    def __init__(self, settings: Settings) -> None:
        self._enabled = settings.redis_enabled
        self._redis = make_redis(settings, timeout=_TIMEOUT)
        self._redis.set_retry(Retry(NoBackoff(), 0))
        self._breaker = RedisBreaker(_PAUSE, away="cache.away", back="cache.back")

    def get(self, name: str) -> CachedValue | None:
        """The value under a name; None if there is none, or Redis is away."""
        raw = self._run("get", _PREFIX + name)
        if raw is None:
            return None
        try:
            found = orjson.loads(raw)
            return CachedValue(found["value"], max(0.0, time.time() - float(found["at"])))
        except (ValueError, KeyError, TypeError):
            return None  # written by an older version

    def put(self, name: str, value: Any) -> None:
        """Store a JSON value for `TTL_SECONDS`."""
        body = orjson.dumps({"at": time.time(), "value": value})
        self._run("set", _PREFIX + name, body, ex=TTL_SECONDS)

    def set_if_absent(self, name: str, seconds: int) -> bool:
        """`SET NX EX`: true if this call set the key, which expires after `seconds`; False without Redis."""
        return bool(self._run("set", _PREFIX + name, b"1", nx=True, ex=seconds))

    def expire(self, name: str, seconds: int) -> None:
        """`EXPIRE`: let a key that `set_if_absent` set run out after so many seconds."""
        self._run("expire", _PREFIX + name, seconds)

    def _run(self, command: str, *args: Any, **more: Any) -> Any:
        """What Redis answers to a command; None where it is switched off or away."""
        if not self._enabled:
            return None
        return self._breaker.ask(lambda: getattr(self._redis, command)(*args, **more), lambda: None)


_caches: dict[tuple[str, bool], Cache] = {}
_lock = Lock()


def of(settings: Settings) -> Cache:
    """The cache of this process for these settings."""
    key = (settings.redis_url, settings.redis_enabled)
    with _lock:
        if key not in _caches:
            _caches[key] = Cache(settings)
        return _caches[key]
