"""The test endpoints: there in development only, and only for a super admin."""

from __future__ import annotations

import threading
import time

import pytest
from door import API, Door, data_of, opened, refused
from sqlalchemy import func, select

from api.extensions import Parts
from engine.runtime import Runtime
from models.user import User

ROUTES = [("GET", "/api/test/health"), ("POST", "/api/test/reset"), ("GET", "/api/test/performance")]


@pytest.mark.parametrize("app_env", ["production", "test"])
def test_elsewhere_they_do_not_exist(runtime: Runtime, app_env: str) -> None:
    with opened(runtime.settings, app_env=app_env) as door:
        boss = door.person("super_admin")

        for method, path in ROUTES:
            refused(boss.request(method, path.removeprefix("/api")), 404, "NOT_FOUND")
        assert "/test/" not in door.stranger().get(f"{API}/openapi.json").text


def test_reset_empties_everything_and_signs_everyone_out(runtime: Runtime) -> None:
    door = Door(runtime)
    boss, admin = door.person("super_admin"), door.person("admin")
    admin.post("/youtube/download", json={"url": "http://127.0.0.1/a.mp4"})
    runtime.redis.set("key", "value")
    refused(admin.post("/test/reset"), 403, "FORBIDDEN")
    assert data_of(door.stranger().get("/api/test/health"))["status"] == "ok"

    assert data_of(boss.post("/test/reset")) == {"reset": True}

    refused(boss.get("/auth/session"), 401, "UNAUTHORIZED")
    assert runtime.redis.dbsize() == 0
    with runtime.unit_of_work() as db:
        assert db.scalar(select(func.count()).select_from(User)) == 0
    fresh = door.stranger().post(
        f"{API}/auth/admin", json={"email": "a@example.com", "password": "secure_password", "name": "A"}
    )
    assert fresh.status_code == 201


def test_performance_times_a_job_a_query_and_a_redis_trip(runtime: Runtime) -> None:
    door = Door(runtime)
    boss = door.person("super_admin")
    parts: Parts = door.app.extensions["medianest"]

    def worker() -> None:
        message = runtime.redis.blpop(["maintenance"], timeout=10)
        assert message is not None
        token = bytes(message[1]).partition(b'"argsrepr": "[')[2].split(b"'")[1].decode()
        runtime.redis.lpush(f"medianest:noop:{token}", repr(time.time()))

    thread = threading.Thread(target=worker)
    thread.start()
    timings = data_of(boss.get("/test/performance"))
    thread.join()

    assert all(0 < timings[name] < 5000 for name in ("jobStart", "jobRoundTrip", "query", "redis"))
    assert parts.runtime is runtime
