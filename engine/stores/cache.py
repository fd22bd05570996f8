"""Answers of other systems, kept in Redis for a while; without Redis nothing is kept and nothing fails."""

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

KEPT_SECONDS = 86400  # what is too old to be served still tells how old it is
_TIMEOUT = 0.25  # seconds that a request waits for Redis
_PAUSE = 3.0  # seconds during which a Redis that failed is left alone
_PREFIX = "medianest:cache:"


@dataclass(frozen=True)
class CachedValue:
    """Something that was kept; `age` in seconds."""

    value: Any
    age: float


class Cache:
    """JSON values by name.

    Args:
        settings: with a `redis_url`; connects on first use. `REDIS_ENABLED=false`: keeps nothing.
    """

    def __init__(self, settings: Settings) -> None:
        self._enabled = settings.redis_enabled
        self._redis = make_redis(settings, timeout=_TIMEOUT)
        self._redis.set_retry(Retry(NoBackoff(), 0))
        self._breaker = RedisBreaker(_PAUSE, away="cache.away", back="cache.back")

    def get(self, name: str) -> CachedValue | None:
        """What is kept under a name; None where there is nothing, or no Redis."""
        raw = self._ask("get", _PREFIX + name)
        if raw is None:
            return None
        try:
            found = orjson.loads(raw)
            return CachedValue(found["value"], max(0.0, time.time() - float(found["at"])))
        except (ValueError, KeyError, TypeError):
            return None  # of an older version of ours

    def put(self, name: str, value: Any) -> None:
        """Keep a value for a day at most; who asks for it decides by its age whether it is fresh enough."""
        body = orjson.dumps({"at": time.time(), "value": value})
        self._ask("set", _PREFIX + name, body, ex=KEPT_SECONDS)

    def first(self, name: str, seconds: int) -> bool:
        """`SET NX EX`: true if this call set the key, which expires after `seconds`; False without Redis."""
        return bool(self._ask("set", _PREFIX + name, b"1", nx=True, ex=seconds))

    def put_off(self, name: str, seconds: int) -> None:
        """`EXPIRE`: have `first` be true again after `seconds`, where its key is set."""
        self._ask("expire", _PREFIX + name, seconds)

    def _ask(self, command: str, *args: Any, **more: Any) -> Any:
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
