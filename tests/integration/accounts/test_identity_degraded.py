"""Signing in and being known while Redis or PostgreSQL is gone, frozen or empty, behind the real web server."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from stack import PASSWORD, Stack, eventually, running

from cli.embedded import EmbeddedPostgres, EmbeddedRedis
from config.redis import make_redis
from config.settings import Settings
from models.migrate import upgrade


@dataclass
class Site:
    """A web process of its own with both services, which can be taken from it."""

    stack: Stack
    postgres: EmbeddedPostgres
    redis: EmbeddedRedis

    def call(self, method: str, path: str, token: str | None = None, **kwargs: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.stack.url}/api/v1{path}"
        return requests.request(method, url, headers=headers, timeout=30, **kwargs)

    def sign_in(self, password: str = PASSWORD) -> requests.Response:
        return self.call("POST", "/auth/login", json={"email": "admin@example.com", "password": password})


@pytest.fixture(scope="module")
def site(short_tmp: Path) -> Iterator[Site]:
    folder = short_tmp / "degraded"
    folder.mkdir()
    postgres, redis = EmbeddedPostgres(folder / "pg", durable=False), EmbeddedRedis(folder / "redis")
    with ExitStack() as life:
        url = life.enter_context(postgres.running())
        upgrade(url)
        redis_url = life.enter_context(redis.running())
        stack = life.enter_context(running(Stack(folder, url, redis_url, RATE_LIMIT_ENABLED="true")))
        stack.start_web()
        stack.bootstrap()
        yield Site(stack, postgres, redis)


@contextmanager
def redis_down(site: Site) -> Iterator[None]:
    site.redis.stop()
    try:
        yield
    finally:
        site.redis.start()


@contextmanager
def redis_frozen(site: Site) -> Iterator[None]:
    with stopped(site.redis):
        yield


@contextmanager
def redis_flushed(site: Site) -> Iterator[None]:
    settings = Settings(redis_url=site.stack.redis_url)
    with make_redis(settings) as client:
        client.flushall()
    yield


@contextmanager
def stopped(server: EmbeddedRedis | EmbeddedPostgres) -> Iterator[None]:
    """A server that takes connections and never answers."""
    process = server._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


@pytest.mark.parametrize("trouble", [redis_down, redis_frozen, redis_flushed])
def test_identity_does_without_redis(site: Site, trouble: Any) -> None:
    before = site.sign_in().json()["data"]
    revoked = site.sign_in().json()["data"]
    assert site.call("POST", "/auth/logout", revoked["token"]).status_code == 200

    with trouble(site):
        # Nobody gets in who could not before, and what ended stays ended: the database knows.
        assert site.sign_in("a wrong password").status_code == 401
        assert site.call("GET", "/auth/session").status_code == 401
        assert site.call("GET", "/auth/session", "invented").status_code == 401
        assert site.call("GET", "/auth/session", revoked["token"]).status_code == 401
        assert (
            site.call("POST", "/auth/refresh", json={"refreshToken": revoked["refreshToken"]}).status_code
            == 401
        )

        # All that people do about their sessions works on.
        answer = site.sign_in()
        assert answer.status_code == 200, answer.text
        signed_in = answer.json()["data"]
        assert site.call("GET", "/auth/session", before["token"]).status_code == 200
        fresh = site.call("POST", "/auth/refresh", json={"refreshToken": signed_in["refreshToken"]})
        assert fresh.status_code == 200
        token = fresh.json()["data"]["token"]
        browser = requests.Session()
        browser.cookies.set("medianest_access", token)
        proof = browser.get(f"{site.stack.url}/api/v1/csrf/token", timeout=30).json()["data"]["csrfToken"]
        without = browser.delete(f"{site.stack.url}/api/v1/auth/sessions", timeout=30)
        assert without.status_code == 403
        with_proof = browser.delete(
            f"{site.stack.url}/api/v1/auth/sessions", headers={"X-CSRF-Token": proof}, timeout=30
        )
        assert with_proof.status_code == 200
        assert site.call("GET", "/auth/session", before["token"]).status_code == 401
        assert site.call("POST", "/auth/ws-ticket", token).status_code == 200
        assert site.call("GET", "/csrf/stats", token).status_code in {200, 503}
        assert site.call("POST", "/auth/logout", token).status_code == 200
        assert site.call("GET", "/auth/session", token).status_code == 401

    assert site.sign_in().status_code == 200
    assert "request.failed" not in site.stack.log("web")


def test_a_frozen_redis_costs_some_seconds_once_not_each_time(site: Site) -> None:
    token = site.sign_in().json()["data"]["token"]
    with redis_frozen(site):
        site.call("GET", "/auth/session", token)
        site.call("GET", "/csrf/token")
        begin = time.monotonic()
        for _ in range(10):
            assert site.call("GET", "/auth/session", token).status_code == 200
            assert site.call("GET", "/csrf/token").status_code in {200, 429}
        assert time.monotonic() - begin < 5


def test_without_postgres_nobody_is_let_in_and_it_heals_by_itself(site: Site) -> None:
    signed_in = site.sign_in().json()["data"]
    token = signed_in["token"]
    assert site.call("GET", "/auth/session", token).status_code == 200

    site.postgres.stop()
    try:
        for answer in (
            site.call("GET", "/auth/session", token),
            site.call("GET", "/admin/queues", token),
            site.call("POST", "/auth/refresh", json={"refreshToken": signed_in["refreshToken"]}),
            site.call("POST", "/auth/logout", token),
            site.call("POST", "/auth/ws-ticket", token),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "DATABASE_ERROR")
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert site.sign_in().status_code == 503
        assert requests.get(f"{site.stack.url}/health", timeout=5).status_code == 200
    finally:
        site.postgres.start()

    eventually(lambda: site.call("GET", "/auth/session", token).status_code == 200)
    fresh = site.call("POST", "/auth/refresh", json={"refreshToken": signed_in["refreshToken"]})
    assert fresh.status_code == 200
    assert site.sign_in().status_code == 200
    assert "request.failed" not in site.stack.log("web")
