"""How many CSRF tokens were issued, accepted and rejected: counted in Redis, all processes together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import redis
from flask import current_app

from api.extensions import parts
from engine.errors import ServiceUnavailable
from engine.runtime import Runtime
from engine.stores.redis_breaker import RedisBreaker

Counted = Literal["issued", "refreshed", "accepted", "rejected"]

NAMES: tuple[Counted, ...] = ("issued", "refreshed", "accepted", "rejected")
_KEY = "medianest:csrf"
_SINCE = "since"
_PAUSE = 30.0  # seconds during which a Redis that failed is left alone
_EXTENSION = "medianest-csrf-counts"


class CsrfCounts:
    """The counters of an application; with Redis away nothing is counted, and nobody waits for it twice.

    Args:
        runtime: for Redis.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._redis = runtime.redis
        self._breaker = RedisBreaker(_PAUSE, away="csrf.uncounted", back="csrf.counted")

    def add(self, what: Counted) -> None:
        """Count one."""
        self._breaker.ask(lambda: self._add(what), lambda: None)

    def _add(self, what: Counted) -> None:
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hincrby(_KEY, what, 1)
            pipe.hsetnx(_KEY, _SINCE, datetime.now(UTC).isoformat())
            pipe.execute()

    def read(self) -> Mapping[str, Any]:
        """All counters by name, and `since` when they are counted: as long as Redis keeps what it is told.

        Raises:
            ServiceUnavailable: Redis does not answer.
        """
        try:
            found: dict[bytes, bytes] = self._redis.hgetall(_KEY)  # type: ignore[assignment]
        except redis.RedisError:
            raise ServiceUnavailable(
                "The counters are kept in Redis, which does not answer at the moment."
            ) from None
        since = found.get(_SINCE.encode())
        return {
            **{name: int(found.get(name.encode(), 0)) for name in NAMES},
            _SINCE: None if since is None else datetime.fromisoformat(since.decode()),
        }


def counts() -> CsrfCounts:
    """The counters of the application that serves this request."""
    found: CsrfCounts | None = current_app.extensions.get(_EXTENSION)
    if found is None:
        found = current_app.extensions.setdefault(_EXTENSION, CsrfCounts(parts().runtime))
    return found
