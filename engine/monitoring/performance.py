"""Performance: round trips of database, Redis and queue, measured on request."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import redis
from sqlalchemy import text

from engine.runtime import Runtime
from models.base import new_id

JOB_PATIENCE = 5.0  # seconds that a worker may take to answer
_NOOP_KEY = "medianest:noop:{token}"  # where the task of Job.NOOP answers with the time at which it ran


@dataclass(frozen=True)
class Timings:
    """Milliseconds; None: no answer."""

    job_start: float | None
    job_round_trip: float | None
    query: float
    redis: float | None


def measure(runtime: Runtime, send_noop: Callable[[str], None]) -> Timings:
    """Measure a query, a Redis round trip, and a no-op job.

    Args:
        runtime: whose database and Redis are asked.
        send_noop: sends `Job.NOOP` with a token; may raise when Redis is away.

    Raises:
        sqlalchemy.exc.OperationalError: no database.
    """
    with runtime.unit_of_work() as db:
        db.execute(text("SELECT 1"))
        began = time.perf_counter()
        db.execute(text("SELECT 1"))
        query = _milliseconds(time.perf_counter() - began)
    try:
        runtime.redis.ping()
        began = time.perf_counter()
        runtime.redis.ping()
        trip = _milliseconds(time.perf_counter() - began)
    except redis.RedisError:
        return Timings(None, None, query, None)
    start, round_trip = _time_job(runtime, send_noop)
    return Timings(start, round_trip, query, trip)


def _time_job(runtime: Runtime, send_noop: Callable[[str], None]) -> tuple[float | None, float | None]:
    token = new_id("noop")
    sent, began = time.time(), time.perf_counter()
    try:
        send_noop(token)
        while time.perf_counter() - began < JOB_PATIENCE:
            # Shorter than the client's own timeout for an answer.
            answer = runtime.redis.blpop([_NOOP_KEY.format(token=token)], timeout=1)
            if answer is not None:
                return _milliseconds(float(answer[1]) - sent), _milliseconds(time.perf_counter() - began)
    except Exception:  # noqa: BLE001 - kombu and redis-py raise many kinds when Redis goes away
        return None, None
    return None, None


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
