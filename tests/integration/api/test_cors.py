"""Pages of which origins may call the API from a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from door import API, Door, opened
from sqlalchemy import func

from api.security.cors import allowed
from models.setting import StoredSetting

FRONT = "https://media.example.com"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-csrf-token"}
FOREIGN = [
    "https://evil.example.com",
    "http://media.example.com",
    "https://media.example.com.evil.com",
    "https://evilmedia.example.com",
    "https://media.example.com:8443",
    "https://media.example.com/",
    "https://media.example.com, https://evil.example.com",
    "null",
    "*",
    "",
]


@pytest.fixture(scope="module")
def door(door: Door) -> Iterator[Door]:
    with opened(door.runtime.settings, frontend_url=(FRONT, "http://localhost:3000")) as there:
        yield there


def cors_headers(headers: object) -> dict[str, str]:
    return {name: value for name, value in headers if name.startswith("Access-Control-")}  # type: ignore[attr-defined]


@pytest.mark.parametrize("origin", [FRONT, "http://localhost:3000"])
@pytest.mark.parametrize("path", [f"{API}/auth/session", f"{API}/auth/login", "/health", "/api/v1/nothing"])
def test_our_own_pages_may_read_every_answer_errors_too(door: Door, origin: str, path: str) -> None:
    answer = door.stranger().get(path, headers={"Origin": origin})

    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    shown = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"X-Correlation-ID", "X-RateLimit-Remaining", "Retry-After", "Location"} <= set(shown)
    assert "Origin" in answer.vary


@pytest.mark.parametrize("origin", FOREIGN)
def test_those_of_others_may_not(door: Door, origin: str) -> None:
    answer = door.stranger().get(f"{API}/auth/session", headers={"Origin": origin})
    asked = door.stranger().options(f"{API}/auth/login", headers={"Origin": origin, **PREFLIGHT})

    assert cors_headers(answer.headers) == cors_headers(asked.headers) == {}
    assert "Origin" in answer.vary
    assert "Origin" in asked.vary


def test_without_a_setting_nobody_may(door: Door) -> None:
    with opened(door.runtime.settings, frontend_url=()) as there:
        answer = there.stranger().options(f"{API}/auth/login", headers={"Origin": FRONT, **PREFLIGHT})

    assert cors_headers(answer.headers) == {}


def test_a_browser_may_ask_before_every_route(door: Door) -> None:
    for rule in door.app.url_map.iter_rules():
        if rule.websocket:
            continue
        values = dict.fromkeys(rule.arguments, "start.js" if "/docs/" in rule.rule else "x-1")
        values |= {"media_type": "movie"} if "media_type" in values else {}
        path = door.app.url_map.bind("localhost").build(
            rule.endpoint, values, method=next(iter(rule.methods or ()))
        )

        answer = door.stranger().options(path, headers={"Origin": FRONT, **PREFLIGHT})

        assert answer.status_code == 204, path
        assert answer.headers["Access-Control-Allow-Origin"] == FRONT
        methods = answer.headers["Access-Control-Allow-Methods"].split(", ")
        assert (rule.methods or set()) <= set(methods), path
        accepted = {name.lower() for name in answer.headers["Access-Control-Allow-Headers"].split(", ")}
        assert accepted == {"authorization", "content-type", "x-api-key", "x-csrf-token", "x-correlation-id"}
        assert int(answer.headers["Access-Control-Max-Age"]) > 0
        assert answer.data == b""


def test_there_is_nothing_to_ask_where_there_is_nothing(door: Door) -> None:
    answer = door.stranger().options(f"{API}/nothing", headers={"Origin": FRONT, **PREFLIGHT})

    assert answer.status_code == 404


def test_a_change_of_the_setting_counts_without_a_restart(door: Door) -> None:
    headers = {"Origin": "https://new.example.com"}
    with opened(door.runtime.settings, frontend_url=()) as there:
        before = there.stranger().get(f"{API}/csrf/token", headers=headers)
        with there.runtime.unit_of_work() as db:
            db.add(StoredSetting(name="frontend_url", value=headers["Origin"], updated_at=func.now()))
        there.runtime.live.expire()
        there.person().get("/auth/session")
        after = there.stranger().get(f"{API}/csrf/token", headers=headers)

    assert "Access-Control-Allow-Origin" not in before.headers
    assert after.headers["Access-Control-Allow-Origin"] == headers["Origin"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("https://Media.Example.com", "https://media.example.com"),
        ("https://media.example.com:443", "https://media.example.com"),
        ("http://media.example.com:80", "http://media.example.com"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_an_origin_is_compared_as_browsers_say_it(setting: str, said: str) -> None:
    assert allowed(said, (setting,))
    assert not allowed(said + "0", (setting,))
