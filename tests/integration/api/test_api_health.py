"""Health: what it says with all there, with one missing, and with one frozen."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from door import API, Door, data_of, opened
from sqlalchemy import func, insert, update

from config.celery import QUEUES
from engine.monitoring import beat_pulse
from engine.runtime import Runtime
from models.heartbeat import Heartbeat

ALL = ",".join(QUEUES)


@pytest.fixture
def frozen() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


def serve(runtime: Runtime, name: str, queues: str) -> None:
    with runtime.unit_of_work() as db:
        values = {"queues": queues, "owner": {}, "seen_at": func.now()}
        db.execute(insert(Heartbeat).values(name=name, **values))


def test_the_process_serves(door: Door) -> None:
    answer = door.stranger().get("/health?from=balancer")

    assert answer.status_code == 200
    assert answer.get_json()["status"] == "ok"
    assert answer.get_json()["timestamp"].endswith("Z")


def services(door: Door) -> dict[str, str]:
    data = data_of(door.stranger().get(f"{API}/health"))
    assert data["status"] == (
        "healthy" if {*data["services"].values()} == {"online", "disabled"} else "degraded"
    )
    found: dict[str, str] = data["services"]
    return found


def test_all_there_is_healthy(own_door: Door) -> None:
    serve(own_door.runtime, "a", "downloads")
    serve(own_door.runtime, "b", ALL.replace("downloads,", ""))
    own_door.runtime.redis.set(beat_pulse.KEY, "1")

    answer = own_door.stranger().get("/api/health")

    assert answer.status_code == 200
    assert services(own_door) == {
        "database": "online", "redis": "online", "workers": "online", "beat": "online", "plex": "disabled",
    }  # fmt: skip


def test_a_queue_that_nobody_serves_degrades(own_door: Door) -> None:
    serve(own_door.runtime, "a", ALL.replace("downloads,", ""))

    assert services(own_door)["workers"] == "degraded"


def test_a_process_that_fell_silent_is_offline(own_door: Door) -> None:
    serve(own_door.runtime, "a", ALL)
    assert services(own_door)["workers"] == "online"

    with own_door.runtime.unit_of_work() as db:
        db.execute(update(Heartbeat).values(seen_at=func.now() - timedelta(seconds=31)))

    assert (services(own_door)["workers"], services(own_door)["beat"]) == ("offline", "offline")


def test_missing_redis_and_workers_degrade(door: Door) -> None:
    answer = door.stranger().get(f"{API}/health")

    assert answer.status_code == 200
    data = data_of(answer)
    assert data["status"] == "degraded"
    assert data["services"]["database"] == "online"
    assert data["services"]["redis"] == "offline"


def unhealthy(door: Door) -> None:
    began = time.monotonic()
    answer = door.stranger().get(f"{API}/health")
    took = time.monotonic() - began

    body = answer.get_json()
    assert answer.status_code == 503
    assert body["success"] is False
    assert body["data"]["status"] == "unhealthy"
    assert body["data"]["services"]["database"] == "offline"
    assert body["error"]["code"] == "DATABASE_ERROR"
    assert body["correlationId"] == answer.headers["X-Correlation-ID"]
    assert took < 3
    assert door.stranger().get("/health").status_code == 200


def test_a_database_that_is_down_is_unhealthy(door: Door) -> None:
    nowhere = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
    with opened(door.runtime.settings, database_url=nowhere) as door:
        unhealthy(door)


def test_so_is_one_that_is_frozen_however_often_one_asks(door: Door, frozen: int) -> None:
    with opened(
        door.runtime.settings, database_url=f"postgresql+psycopg://nobody@127.0.0.1:{frozen}/x"
    ) as door:
        unhealthy(door)
        unhealthy(door)


def test_a_frozen_redis_degrades(door: Door, frozen: int) -> None:
    with opened(door.runtime.settings, redis_url=f"redis://127.0.0.1:{frozen}/0") as door:
        began = time.monotonic()
        data = data_of(door.stranger().get(f"{API}/health"))

    assert (data["status"], data["services"]["redis"]) == ("degraded", "offline")
    assert time.monotonic() - began < 3


def test_an_empty_database_is_unhealthy(door: Door) -> None:
    server, _, query = door.runtime.settings.database_url.partition("?")
    empty = f"{server.rpartition('/')[0]}/postgres?{query}"
    with opened(door.runtime.settings, database_url=empty) as door:
        unhealthy(door)
