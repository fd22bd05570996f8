"""Exact sliding-window counters: no window of the given length, wherever it begins, holds more than the limit."""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

import redis

from config.variables import Rate

_LONGEST_ADVICE = 86400  # seconds that a doubled Retry-After grows to
_MOST_SUBJECTS, _MOST_STAMPS = 10_000, 500_000  # of the windows in memory: some 20 MB at worst

# One list of timestamps for each limit and subject, oldest first, of what was let through; all rates of the limit are
# questions to it. Redis runs a script alone, so what is counted here is exact, whoever else asks at the same time.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function stamp(key, index) return tonumber(redis.call('LINDEX', key, index)) end
local argument, wait, spans, stale = 1, 0, {}, {}
local tight, refused
for limit, key in ipairs(KEYS) do
  local length = redis.call('LLEN', key)
  if length > 0 and stamp(key, -1) > now + 1000 then  -- the clock was set back
    redis.call('DEL', key)
    length = 0
  end
  spans[limit], stale[limit] = 0, 0
  local rates = tonumber(ARGV[argument])
  for rate = 1, rates do
    local amount, window = tonumber(ARGV[argument + 1]), tonumber(ARGV[argument + 2])
    argument = argument + 2
    local low, high = math.max(0, length - amount), length
    local oldest = low < high and stamp(key, low) or now
    if oldest <= now - window then
      while low < high do
        local middle = math.floor((low + high) / 2)
        if stamp(key, middle) > now - window then high = middle else low = middle + 1 end
      end
      oldest = low < length and stamp(key, low) or now
    end
    local left, free_at = amount - (length - low), oldest + window
    if left == 0 and free_at - now > wait then
      wait = free_at - now
      refused = {limit, rate, 0, free_at}
    end
    if not tight or left < tight[3] or (left == tight[3] and free_at > tight[4]) then
      tight = {limit, rate, left, free_at}
    end
    if window > spans[limit] then spans[limit], stale[limit] = window, low end
  end
  argument = argument + 1
end
if refused then
  local key = KEYS[refused[1]] .. ':advised'
  local last, advice = tonumber(redis.call('GET', key)), math.ceil(wait / 1000)
  if last then advice = math.max(advice, math.min(2 * last, LONGEST_ADVICE)) end
  redis.call('SET', key, advice, 'PX', wait)
  return {refused[1], refused[2], 0, math.ceil(refused[4] / 1000), advice}
end
for limit, key in ipairs(KEYS) do
  redis.call('RPUSH', key, now)
  if stale[limit] > 0 then redis.call('LTRIM', key, stale[limit], -1) end
  redis.call('PEXPIRE', key, spans[limit])
end
return {tight[1], tight[2], tight[3] - 1, math.ceil(tight[4] / 1000), 0}
""".replace("LONGEST_ADVICE", str(_LONGEST_ADVICE))


class Asked(NamedTuple):
    """One limit for one subject: `rates` are not empty."""

    key: str
    rates: tuple[Rate, ...]


class Verdict(NamedTuple):
    """What became of a request.

    Attributes:
        limit: which of those asked for is the tightest, or refuses, by its place.
        rate: of that limit.
        remaining: requests that would pass now.
        reset: when the next place in the window comes free, in Unix seconds.
        retry_after: seconds to stay away; 0 for a request that was let through.
    """

    limit: int
    rate: Rate
    remaining: int
    reset: int
    retry_after: int


class RedisWindows:
    """Windows that all processes share; one round trip a request.

    Args:
        client: with short timeouts and without retries.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool
        self._sha = client.register_script(_TAKE).sha
        self._idle: deque[redis.connection.AbstractConnection] = deque()

    def take(self, asked: Sequence[Asked]) -> Verdict:
        """Let a request through all limits, and count it for each; or refuse it, and count it for none.

        While a refused client keeps knocking, `retry_after` doubles; it is forgotten when a place comes free.

        Raises:
            redis.RedisError: Redis is away.
        """
        words: list[str | int] = [len(asked), *(each.key for each in asked)]
        for each in asked:
            words += _arguments(each.rates)
        try:
            answer = self._command("EVALSHA", self._sha, *words)
        except redis.exceptions.NoScriptError:
            answer = self._command("EVAL", _TAKE, *words)
        limit, rate, remaining, reset, retry_after = answer
        return Verdict(limit - 1, asked[limit - 1].rates[rate - 1], remaining, reset, retry_after)

    def give_back(self, key: str) -> None:
        """Undo the last count of a limit.

        Raises:
            redis.RedisError: Redis is away.
        """
        self._command("RPOP", key)

    def _command(self, *words: str | int) -> list[int]:
        """Ask Redis; half the price of a command of redis-py, whose pool asks each connection whether it is alive.

        Here that is found out by asking: one that was idle and is dead gives way to the next, at last to a new one.
        """
        while True:
            connection, idle = self._connection()
            try:
                connection.send_command(*words, check_health=False)  # type: ignore[no-untyped-call]
                answer: list[int] = connection.read_response()
            except redis.exceptions.ResponseError:
                self._idle.append(connection)
                raise
            except redis.ConnectionError:
                connection.disconnect()  # type: ignore[no-untyped-call]
                if not idle:
                    raise
            except BaseException:
                connection.disconnect()  # type: ignore[no-untyped-call]
                raise
            else:
                self._idle.append(connection)
                return answer

    def _connection(self) -> tuple[redis.connection.AbstractConnection, bool]:
        """A connection for this thread alone, and whether it was idle before."""
        try:
            return self._idle.pop(), True
        except IndexError:
            return self._pool.connection_class(**self._pool.connection_kwargs), False


@lru_cache(maxsize=256)
def _arguments(rates: tuple[Rate, ...]) -> tuple[int, ...]:
    return (len(rates), *(number for rate in rates for number in (rate.amount, rate.seconds * 1000)))


@dataclass(slots=True)
class _Subject:
    """What was let through, oldest first, and what was advised last, until when."""

    stamps: list[float] = field(default_factory=list)
    advice: int = 0
    advised_until: float = 0.0


class LocalWindows:
    """The same windows in this process's memory, which is bounded: who was not seen for longest is forgotten first."""

    def __init__(self, most_subjects: int = _MOST_SUBJECTS, most_stamps: int = _MOST_STAMPS) -> None:
        self._subjects: OrderedDict[str, _Subject] = OrderedDict()
        self._lock = Lock()
        self._most_subjects, self._most_stamps = most_subjects, most_stamps
        self._stamps = 0

    def take(self, asked: Sequence[Asked]) -> Verdict:
        """As `RedisWindows.take`."""
        with self._lock:
            self._forget_some()
            now = time.monotonic()
            tight: tuple[int, float, int, Rate] | None = None
            refused: tuple[float, int, Rate] | None = None
            for limit, (key, rates) in enumerate(asked):
                stamps = self._subject(key).stamps
                for rate in rates:
                    low = bisect_right(stamps, now - rate.seconds, max(0, len(stamps) - rate.amount))
                    left = rate.amount - (len(stamps) - low)
                    free_in = (stamps[low] if low < len(stamps) else now) + rate.seconds - now
                    if left == 0 and (refused is None or free_in > refused[0]):
                        refused = free_in, limit, rate
                    if tight is None or (left, -free_in) < tight[:2]:
                        tight = left, -free_in, limit, rate
            if refused is not None:
                wait, limit, rate = refused
                advice = self._advise(self._subject(asked[limit].key), now, wait)
                return Verdict(limit, rate, 0, math.ceil(time.time() + wait), advice)
            assert tight is not None, "nothing was asked for"
            for key, rates in asked:
                self._count(key, rates, now)
            left, free_in, limit, rate = tight
            return Verdict(limit, rate, left - 1, math.ceil(time.time() - free_in), 0)

    def give_back(self, key: str) -> None:
        """Undo the last count of a limit."""
        with self._lock:
            subject = self._subjects.get(key)
            if subject is not None and subject.stamps:
                subject.stamps.pop()
                self._stamps -= 1

    def _subject(self, key: str) -> _Subject:
        subject = self._subjects.get(key)
        if subject is None:
            return self._subjects.setdefault(key, _Subject())
        self._subjects.move_to_end(key)
        return subject

    def _advise(self, subject: _Subject, now: float, wait: float) -> int:
        advice = math.ceil(wait)
        if now < subject.advised_until:
            advice = max(advice, min(2 * subject.advice, _LONGEST_ADVICE))
        subject.advice, subject.advised_until = advice, now + wait
        return advice

    def _count(self, key: str, rates: tuple[Rate, ...], now: float) -> None:
        stamps = self._subject(key).stamps
        stale = bisect_right(stamps, now - max(rate.seconds for rate in rates))
        del stamps[:stale]
        stamps.append(now)
        self._stamps += 1 - stale

    def _forget_some(self) -> None:
        while len(self._subjects) > self._most_subjects or self._stamps > self._most_stamps:
            _, oldest = self._subjects.popitem(last=False)
            self._stamps -= len(oldest.stamps)
