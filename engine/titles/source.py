"""Questions to TMDB: one budget for all processes, pauses that TMDB asks for, equal questions asked once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.redis import make_redis
from config.settings import Settings
from config.variables import Rate
from engine.clients import tmdb
from engine.clients.gate import GateClosed, gate_of
from engine.clients.tmdb import TmdbAway, TmdbBusy, TmdbClient, TmdbError, TmdbUnknown
from engine.errors import NotSetUp
from engine.rate_limits.sliding_windows import Asked, LocalWindows, RedisWindows
from engine.runtime import Runtime
from engine.settings import integration_access
from engine.settings.integration_access import IntegrationAccess
from engine.stores import cache
from engine.stores.redis_breaker import RedisBreaker

NAME = "tmdb"
NOT_CONFIGURED = (
    "Films and series are found at TMDB, which is not set up: an admin gives a token (TMDB_TOKEN)."
)
SECONDS = 6.0  # for an answer, waiting for the budget included
_AT_ONCE = 4  # questions of a process
_KEY = "medianest:rate:tmdb"
_PAUSE = "tmdb:pause"

T = TypeVar("T")

log = structlog.get_logger(__name__)


def configured(runtime: Runtime) -> IntegrationAccess | None:
    """How TMDB is reached; None where it is not set up.

    Raises:
        ServiceUnavailable: the stored token was written with another `SECRET_KEY`.
    """
    settings = runtime.settings
    with runtime.reading() as db:
        return integration_access.of(
            db,
            settings,
            NAME,
            url=settings.tmdb_url,
            token=settings.tmdb_token,
            standard_url=tmdb.STANDARD_URL,
        )


def ask(runtime: Runtime, question: Callable[[TmdbClient], T], *, seconds: float) -> T:
    """Ask TMDB within a time; no unit of work should be open.

    Args:
        runtime: with the settings.
        question: asks the client; may ask several times.
        seconds: for all of it.

    Raises:
        NotSetUp: TMDB is not set up.
        TmdbError: one of its kinds.
    """
    access = configured(runtime)
    if access is None:
        raise NotSetUp(NOT_CONFIGURED, "TMDB_TOKEN")
    deadline = time.monotonic() + seconds
    _respect_pause(runtime.settings)
    try:
        with gate_of(access.url, _AT_ONCE).asking():
            _wait_for_budget(runtime.settings, deadline)
            left = max(0.1, deadline - time.monotonic())
            with TmdbClient(access.url, access.token, seconds=left, verify=access.verify) as client:
                try:
                    return question(client)
                except TmdbUnknown as error:
                    unknown = error  # an answer like any other: the gate stays open
    except TmdbBusy as busy:
        _pause(runtime.settings, busy.seconds)
        raise
    except GateClosed:
        raise TmdbAway("TMDB does not answer at the moment.") from None
    raise unknown


class Patience:
    """How long the questions of one answer may take together; after one that failed no other is asked.

    Args:
        seconds: for all of them, from now on.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._until = time.monotonic() + (SECONDS if seconds is None else seconds)
        self._failed: TmdbError | None = None

    def ask(self, runtime: Runtime, question: Callable[[TmdbClient], T]) -> T:
        """Ask TMDB in the time that is left.

        Raises:
            ServiceUnavailable: TMDB is not set up.
            TmdbError: one of its kinds; the one from before, if there was one.
        """
        left = self._until - time.monotonic()
        if self._failed is None and left <= 0:
            self._failed = TmdbAway("TMDB does not answer in time.")
        if self._failed is not None:
            raise self._failed
        try:
            return ask(runtime, question, seconds=left)
        except TmdbUnknown:
            raise
        except TmdbError as error:
            self._failed = error
            raise


@contextmanager
def once(name: str) -> Iterator[bool]:
    """Around a question that others of this process may ask too: False for who has waited for one that did.

    They look for the kept answer before they ask themselves.
    """
    with _lock:
        lock, waiting = _asked.get(name, (threading.Lock(), 0))
        _asked[name] = (lock, waiting + 1)
    held = lock.acquire(blocking=False)
    waited = not held
    if waited:
        held = lock.acquire(timeout=SECONDS)
    try:
        yield not waited
    finally:
        if held:
            lock.release()
        with _lock:
            lock, waiting = _asked[name]
            if waiting > 1:
                _asked[name] = (lock, waiting - 1)
            else:
                del _asked[name]


def seconds_until_asked(error: TmdbError) -> int | None:
    """After how many seconds it may be worth to ask again; None: unknown."""
    return round(error.seconds) if isinstance(error, TmdbBusy) else None


_lock = threading.Lock()
_asked: dict[str, tuple[threading.Lock, int]] = {}
_budgets: dict[str, _Budget] = {}
_pauses: dict[str, float] = {}  # by Redis: until when, in Unix seconds


def _pause(settings: Settings, seconds: float) -> None:
    """Have all processes leave TMDB alone, this one also while Redis is away."""
    until = time.time() + seconds
    _pauses[settings.redis_url] = until
    cache.of(settings).put(_PAUSE, {"until": until})
    log.warning("tmdb.paused", seconds=round(seconds))


def _respect_pause(settings: Settings) -> None:
    kept = cache.of(settings).get(_PAUSE)
    until = max(_pauses.get(settings.redis_url, 0.0), kept.value["until"] if kept is not None else 0.0)
    if (left := until - time.time()) > 0:
        raise TmdbBusy(left)


class _Budget:
    """Counts requests in Redis, or in this process while Redis is away."""

    def __init__(self, settings: Settings) -> None:
        client = make_redis(settings, timeout=0.25)
        client.set_retry(Retry(NoBackoff(), 0))
        self._shared, self._local = RedisWindows(client), LocalWindows()
        self._breaker = RedisBreaker(3.0, away="tmdb.redis_away", back="tmdb.redis_back")

    def free(self, amount: int) -> bool:
        """Take one place of the last second, if there is one."""
        asked = [Asked(_KEY, (Rate(amount, 1),))]
        verdict = self._breaker.ask(lambda: self._shared.take(asked), lambda: self._local.take(asked))
        return not verdict.retry_after


def _wait_for_budget(settings: Settings, deadline: float) -> None:
    budget = _budget_at(settings)
    while not budget.free(settings.tmdb_requests_per_second):
        if time.monotonic() + 0.2 > deadline:
            raise TmdbAway("Too many questions to TMDB wait already.")
        time.sleep(0.05)


def _budget_at(settings: Settings) -> _Budget:
    with _lock:
        if settings.redis_url not in _budgets:
            _budgets[settings.redis_url] = _Budget(settings)
        return _budgets[settings.redis_url]
