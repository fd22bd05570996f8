"""Rate limits: one table of all limits, counted in Redis, or in this process while Redis is away.

Limits that a view spends by itself, since only the view knows what counts:

* `downloads`, for each submission of new ones, however many, and for each time that some are tried again;
* `invitation`, for the e-mail address that an invitation is sent to;
* `password_reset`, for the e-mail address that a reset is asked for, known or not;
* `confirm`, for wrong passwords given as proof in a session, whose id stands in for the address;
* `account`, for failed sign-ins to an e-mail address, known or not: `with call.attempt("account", email=...)` around
  the check counts what raises `Unauthorized`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Literal, NamedTuple, TypeVar

from redis.backoff import NoBackoff
from redis.retry import Retry

from config.redis import make_redis
from config.settings import Settings
from config.variables import Rate
from engine.errors import MediaNestError
from engine.identity.sessions import Identity
from engine.rate_limits.sliding_windows import Asked, LocalWindows, RedisWindows, Verdict
from engine.stores.redis_breaker import RedisBreaker

Tier = Literal["anonymous", "user", "premium", "admin"]
Endpoint = Literal["upload", "search", "media", "work", "login", "poll", "suggest", "page"]
Spent = Literal["downloads", "invitation", "password_reset", "account", "confirm"]
Wide = Literal["global", "api"]
Name = Literal[Tier, Endpoint, Spent, Wide]
Whose = Literal["address", "user", "email"]
Answer = TypeVar("Answer")


class Limit(NamedTuple):
    """The setting with the rates of a limit, and its subject; `user`: the address where nobody is signed in."""

    setting: str
    whose: Whose


LIMITS: dict[Name, Limit] = {
    # Each request counts for one tier ...
    "anonymous": Limit("rate_limit_anonymous", "address"),
    "user": Limit("rate_limit_user", "user"),
    "premium": Limit("rate_limit_premium", "user"),
    "admin": Limit("rate_limit_admin", "user"),
    # ... for what its operation declares ...
    "upload": Limit("rate_limit_upload", "user"),
    "search": Limit("rate_limit_search", "user"),
    "media": Limit("rate_limit_media", "user"),
    "work": Limit("rate_limit_work", "user"),
    "login": Limit("rate_limit_login", "address"),
    # ... or for one of these instead of its tier ...
    "poll": Limit("rate_limit_poll", "address"),
    "page": Limit("rate_limit_page", "user"),
    "suggest": Limit("rate_limit_suggest", "user"),
    # ... and for these, which are off unless set.
    "global": Limit("rate_limit_global", "address"),
    "api": Limit("rate_limit_api", "address"),
    # What views spend.
    "downloads": Limit("rate_limit_downloads", "user"),
    "invitation": Limit("rate_limit_invitation", "email"),
    "password_reset": Limit("rate_limit_password_reset", "email"),
    "account": Limit("rate_limit_account", "email"),
    "confirm": Limit("rate_limit_confirm", "email"),
}

_ADMINS = frozenset({"admin", "super_admin"})
_TIMEOUT = 0.25  # seconds that a request waits for Redis
_PAUSE = 3.0  # seconds during which a Redis that failed is left alone
_PREFIX = "medianest:rate:"
_NOWHERE = "local"  # clients of a Unix socket have no address


class RateLimitExceeded(MediaNestError):
    """Too many requests; it passes after `verdict.retry_after` seconds, if not earlier."""

    code, status = "RATE_LIMIT_EXCEEDED", 429

    def __init__(self, name: Name, verdict: Verdict) -> None:
        super().__init__(
            f"Too many requests: the limit is {verdict.rate}.", {"limit": name, "rate": str(verdict.rate)}
        )
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class Asker:
    """The subject that a request counts for: a user by id, else an address."""

    address: str | None
    user_id: str | None = None
    tier: Tier = "anonymous"

    @classmethod
    def of(cls, identity: Identity | None, address: str | None) -> Asker:
        """The asker behind an identity; the tier of admins is theirs by role."""
        if identity is None:
            return cls(address)
        tier: Tier = (
            "admin" if identity.role in _ADMINS else "premium" if identity.tier == "premium" else "user"
        )
        return cls(address, identity.user_id, tier)


class RateLimiter:
    """Counts requests; one a process.

    Args:
        settings: with a `redis_url`; connects on first use. The numbers are those of each call.
    """

    def __init__(self, settings: Settings) -> None:
        client = make_redis(settings, timeout=_TIMEOUT)
        client.set_retry(Retry(NoBackoff(), 0))
        self._shared = RedisWindows(client)
        self._local = LocalWindows()
        self._breaker = RedisBreaker(_PAUSE, away="rate_limits.redis_away", back="rate_limits.redis_back")

    def take(
        self, settings: Settings, names: Sequence[Name], asker: Asker, email: str | None = None
    ) -> Verdict | None:
        """Count a request for all the named limits, or for none and refuse it; None where there is no limit.

        Args:
            settings: as they are now.
            names: of `LIMITS`.
            asker: who asks.
            email: for the limits of an e-mail address.

        Raises:
            RateLimitExceeded: one of them is used up.
        """
        if not settings.rate_limit_enabled:
            return None
        found: list[Name] = []
        asked: list[Asked] = []
        for name in names:
            setting, whose = LIMITS[name]
            rates: tuple[Rate, ...] = getattr(settings, setting)
            if rates:
                found.append(name)
                asked.append(Asked(_key(name, whose, asker, email), rates))
        if not asked:
            return None
        verdict = self._ask(lambda windows: windows.take(asked))
        if verdict.retry_after:
            raise RateLimitExceeded(found[verdict.limit], verdict)
        return verdict

    def give_back(self, settings: Settings, name: Spent, asker: Asker, email: str | None = None) -> None:
        """Undo one count of a limit."""
        if not settings.rate_limit_enabled or not getattr(settings, LIMITS[name].setting):
            return
        key = _key(name, LIMITS[name].whose, asker, email)
        self._ask(lambda windows: windows.give_back(key))

    def _ask(self, question: Callable[[RedisWindows | LocalWindows], Answer]) -> Answer:
        """Ask Redis; while it is away, count in this process."""
        return self._breaker.ask(lambda: question(self._shared), lambda: question(self._local))


def _key(name: Name, whose: Whose, asker: Asker, email: str | None) -> str:
    if whose == "email":
        assert email is not None, f"{name} is counted for an e-mail address"
        subject = hashlib.sha256(email.strip().lower().encode()).hexdigest()[:32]
    elif whose == "user" and asker.user_id is not None:
        subject = asker.user_id
    else:
        subject = counted_address(asker.address)
    return f"{_PREFIX}{name}:{subject}"


@lru_cache(maxsize=4096)
def counted_address(address: str | None) -> str:
    """The address that a request counts for: of IPv6 its /64, which one client has to itself."""
    if not address:
        return _NOWHERE
    try:
        found = ip_address(address)
    except ValueError:
        return _NOWHERE
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ip_network((int(found), 64), strict=False))
