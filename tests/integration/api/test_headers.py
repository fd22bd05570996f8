"""The headers that keep browsers from being used against people, on every kind of answer."""

from __future__ import annotations

import pytest
from door import API, Door, opened

from api.security.headers import DATA_POLICY

ANSWERS = {
    "/health": 200,
    f"{API}/openapi.json": 200,
    f"{API}/csrf/token": 200,
    f"{API}/auth/session": 401,
    f"{API}/nothing": 404,
    "/": 401,
    "/nothing": 404,
    f"{API}/auth/login": 405,
    f"{API}/auth/refresh?x": 405,
    "/ws/media": 400,
    "/flower/": 401,
    f"{API}/docs": 200,
    f"{API}/docs/start.js": 200,
    f"{API}/docs/swagger-ui.css": 200,
}
NEVER = ("Server", "X-Powered-By")


@pytest.mark.parametrize("path", ANSWERS)
def test_every_answer_has_them(door: Door, path: str) -> None:
    answer = door.stranger().get(path)
    answer.close()  # of a file

    assert answer.status_code == ANSWERS[path]
    headers = answer.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe-eval" not in headers["Content-Security-Policy"]
    assert not any(name in headers for name in NEVER)
    for name in set(headers.keys()):
        assert name == "Set-Cookie" or len(headers.getlist(name)) == 1, name


def test_what_is_ours_alone_is_kept_nowhere(door: Door) -> None:
    ann = door.person()
    signed_in = door.stranger().post(f"{API}/auth/login", json={"email": ann.email, "password": "wrong"})

    for answer in (ann.get("/auth/session"), ann.get("/auth/sessions"), signed_in):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Security-Policy"] == DATA_POLICY


def test_the_page_of_the_documentation_runs_our_scripts_only(door: Door) -> None:
    policy = door.stranger().get(f"{API}/docs").headers["Content-Security-Policy"]

    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["script-src"] == rules["connect-src"] == "'self'"
    assert "<script>" not in door.stranger().get(f"{API}/docs").text
    with door.stranger().get(f"{API}/docs/swagger-ui.css") as file:
        assert file.headers["Cache-Control"] != "no-store"


@pytest.mark.parametrize(
    ("app_env", "base_url", "told"),
    [
        ("production", "https://media.example.com", True),
        ("production", "http://media.example.com", False),
        ("development", "https://media.example.com", False),
    ],
)
def test_https_is_told_to_stay_where_it_is(door: Door, app_env: str, base_url: str, told: bool) -> None:
    with opened(door.runtime.settings, app_env=app_env) as there:
        answers = [
            there.stranger().get(path, base_url=base_url) for path in ("/health", f"{API}/auth/session")
        ]

    assert [("Strict-Transport-Security" in answer.headers) for answer in answers] == [told] * 2


@pytest.mark.parametrize("query", ["", "?a=b"])
def test_we_send_nobody_to_another_host(door: Door, query: str) -> None:
    answer = door.stranger().get(f"/flower{query}", base_url="http://elsewhere.example")
    assert (answer.status_code, answer.headers["Location"], answer.data) == (308, f"/flower/{query}", b"")
