"""Health checks of database, Redis, workers and beat, with a deadline that a frozen service can't exceed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from typing import Literal

import structlog
from sqlalchemy import func, select, text

from engine.monitoring.beat_pulse import is_beating
from engine.monitoring.heartbeats import FRESH
from engine.plex.server import libraries
from engine.runtime import Runtime
from models.heartbeat import Heartbeat
from models.revision import newest

log = structlog.get_logger(__name__)

PATIENCE = 2.0  # seconds for all checks together, which run side by side

State = Literal["online", "degraded", "offline", "disabled"]
States = dict[str, State]

_ORDER = ("database", "redis", "workers", "beat", "plex")


@dataclass(frozen=True)
class Health:
    """The state of each service, and the overall status."""

    services: Mapping[str, State]

    @property
    def status(self) -> Literal["healthy", "degraded", "unhealthy"]:
        """`unhealthy` without a database, `degraded` while anything else that is configured is missing."""
        if self.services["database"] == "offline":
            return "unhealthy"
        if any(state in {"offline", "degraded"} for state in self.services.values()):
            return "degraded"
        return "healthy"


class HealthMonitor:
    """The health checks of one process.

    Args:
        runtime: whose database and Redis are asked.
        queues: each must be served by a worker.
    """

    def __init__(self, runtime: Runtime, queues: Collection[str]) -> None:
        self._runtime = runtime
        self._queues = frozenset(queues)
        self._database = _Probe(self._ask_database, "database", "workers", "plex")
        self._redis = _Probe(self._ask_redis, "redis", "beat")

    def check(self) -> Health:
        """Check all services; takes 2 seconds at most.

        Workers are known by their heartbeats in the database, beat by its heartbeat in Redis, so each is offline
        together with that store. Integrations are reported as syncs and calls found them, without a call; those that
        are not configured are `disabled`.
        """
        deadline = time.monotonic() + PATIENCE
        probes = [(probe, probe.begin()) for probe in (self._database, self._redis)]
        found: States = {}
        for probe, running in probes:
            found |= probe.result(running, deadline)
        if not self._runtime.settings.plex_enabled:
            found["plex"] = "disabled"
        return Health({name: found[name] for name in _ORDER})

    def _ask_database(self) -> States:
        fresh = Heartbeat.seen_at > func.clock_timestamp() - FRESH
        with self._runtime.unit_of_work() as db:
            version = db.scalar(text("SELECT version_num FROM alembic_version"))
            beating = db.scalars(select(Heartbeat.queues).where(fresh)).all()
            current = version == newest()
            # An older schema may lack the table.
            plex: State = libraries.state(db, self._runtime.settings) if current else "offline"
        served = {queue for queues in beating for queue in queues.split(",")}
        workers: State = "online" if served >= self._queues else "degraded" if served else "offline"
        return {
            "database": "online" if current else "degraded",
            "workers": workers,
            "plex": plex,
        }

    def _ask_redis(self) -> States:
        return {"redis": "online", "beat": "online" if is_beating(self._runtime.redis) else "offline"}


class _Probe:
    """A check that may hang: runs in a thread of its own, one at a time, shared by concurrent callers."""

    def __init__(self, ask: Callable[[], States], *services: str) -> None:
        self._ask = ask
        self._otherwise: States = dict.fromkeys(services, "offline")
        self._lock = threading.Lock()
        self._running: Future[States] | None = None

    def begin(self) -> Future[States]:
        """Start the check, unless the last one still runs."""
        with self._lock:
            if self._running is None or self._running.done():
                self._running = Future()
                threading.Thread(target=self._run, args=(self._running,), name="health", daemon=True).start()
            return self._running

    def result(self, running: Future[States], deadline: float) -> States:
        """The result, or the fallback at `deadline` (of the monotonic clock)."""
        try:
            return running.result(max(0.0, deadline - time.monotonic()))
        except TooLate:
            return self._otherwise

    def _run(self, future: Future[States]) -> None:
        try:
            future.set_result(self._ask())
        except Exception as error:  # noqa: BLE001 - whatever it is, who waits must be told
            log.critical("health.offline", services=list(self._otherwise), error=type(error).__name__)
            future.set_result(self._otherwise)
