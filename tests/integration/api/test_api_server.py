"""The API behind its real web server: bodies over a socket, two processes, start and stop."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from stack import Stack, eventually

PASSWORD = "secure_password"
ADMIN = {"email": "admin@medianest.com", "password": PASSWORD, "name": "Admin User"}


@pytest.fixture
def server(tmp_path: Path, database_url: str) -> Iterator[Stack]:
    """Web alone, with two processes; Redis is down."""
    stack = Stack(
        tmp_path, database_url, f"unix://{tmp_path}/nobody.sock", WEB_CONCURRENCY="2", APP_ENV="production"
    )
    stack.warm = False  # here a start is what is tested
    yield stack
    for process in stack.processes.values():
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()


def start(stack: Stack) -> psutil.Process:
    process = stack.start("web", "gunicorn", "--config", "python:api.gunicorn", "api.wsgi:app")

    def serves() -> bool:
        try:
            return requests.get(f"{stack.url}/health", timeout=2).ok
        except requests.ConnectionError:
            return False

    eventually(serves)
    return psutil.Process(process.pid)


def log(stack: Stack) -> str:
    return (stack.folder / "web.log").read_text()


@pytest.mark.long
def test_a_whole_life(server: Stack) -> None:
    web = start(server)
    api = f"{server.url}/api/v1"
    login, admin = f"{api}/auth/login", f"{api}/auth/admin"
    json_type = {"Content-Type": "application/json"}

    # The proof of the first administrator is in what the server printed, once.
    (line,) = [line for line in log(server).splitlines() if "setupToken" in line]
    token = line.split()[-1]
    assert requests.post(admin, json=ADMIN, timeout=5).status_code == 403
    answer = requests.post(admin, json=ADMIN | {"setupToken": token}, timeout=5)
    assert answer.status_code == 201

    # A body that is too large is refused however it comes, and the answer can be read.
    big = b'{"email": "' + b"a" * 3 * 1024 * 1024
    chunks = (big[at : at + 65536] for at in range(0, len(big), 65536))
    for refused in (
        requests.post(login, data=big, headers=json_type, timeout=5),
        requests.post(login, data=chunks, headers=json_type, timeout=5),
        requests.post(login, data=big, headers=json_type | {"Connection": "close"}, timeout=5),
    ):
        assert (refused.status_code, refused.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")

    # A browser over plain HTTP does not send back what is for HTTPS only, so its cookies are handed on here.
    cookies = {cookie.name: cookie.value or "" for cookie in answer.cookies}
    csrf = {"X-CSRF-Token": answer.json()["data"]["csrfToken"]}
    assert all(cookie.secure for cookie in answer.cookies)
    body = {"url": "http://127.0.0.1/a.mp4"}
    assert requests.post(f"{api}/youtube/download", json=body, cookies=cookies, timeout=5).status_code == 403
    asked = requests.post(f"{api}/youtube/download", json=body, cookies=cookies, headers=csrf, timeout=5)
    assert (asked.status_code, asked.json()["data"]["status"]) == (202, "queued")

    # Each process serves with connections of its own.
    def both_served() -> bool:
        for _ in range(20):
            assert requests.get(f"{api}/youtube/downloads", cookies=cookies, timeout=5).status_code == 200
        return all(any(c.type for c in child.net_connections("unix")) for child in web.children())

    assert len(web.children()) == 2
    eventually(both_served)

    # No secret has found its way into the log, nor a request its access line.
    assert all(secret not in log(server) for secret in (PASSWORD, cookies["medianest_access"]))
    assert log(server).count(token) == 1

    children = web.children()
    began = time.monotonic()
    web.terminate()
    server.processes["web"].wait(10)
    assert time.monotonic() - began < 8
    assert not any(child.is_running() for child in children)

    # Once there is an administrator, the proof is not shown again.
    web = start(server)
    web.terminate()
    server.processes["web"].wait(10)
    assert log(server).count(token) == 1


def test_a_wrong_setting_is_one_line(tmp_path: Path) -> None:
    stack = Stack(tmp_path, "mysql://nobody@nowhere/x", "redis://127.0.0.1:1/0")
    stack.warm = False
    process = stack.start("web", "gunicorn", "--config", "python:api.gunicorn", "api.wsgi:app")

    assert process.wait(20) != 0
    said = log(stack)
    assert "DATABASE_URL takes" in said
    assert "Traceback" not in said
