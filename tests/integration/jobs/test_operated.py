"""What operators look into: Flower behind our door, and the doctor's round."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import socket
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import requests
from stack import ROOT, Client, Stack, eventually, free_port, running

from cli.doctor import machine
from cli.embedded import EmbeddedRedis
from config.celery import QUEUES
from config.settings import Settings
from engine.monitoring import flower_pass
from tests import warm

CONTROL = [
    "/api/workers",
    "/api/worker/shutdown/all@host",
    "/api/worker/pool/grow/all@host",
    "/api/task/revoke/1",
    "/api/task/send-task/maintenance.noop",
    "/api/task/async-apply/maintenance.noop",
    "/metrics",
    "/healthcheck",
    "/login",
    "/logout",
]


class Installation:
    """A stack with Flower, and its administrator."""

    def __init__(self, stack: Stack, admin: Client, flower_port: int) -> None:
        self.stack, self.admin, self.flower_port = stack, admin, flower_port

    def see(self, page: str, *, method: str = "GET", **more: Any) -> requests.Response:
        return self.admin.session.request(method, f"{self.stack.url}/flower{page}", timeout=20, **more)

    def knock(self, target: str, given: str = "", method: str = "GET") -> int:
        """Ask Flower itself, past our door."""
        connection = http.client.HTTPConnection("127.0.0.1", self.flower_port, timeout=20)
        connection.request(method, target, headers={flower_pass.HEADER: given} if given else {})
        status = connection.getresponse().status
        connection.close()
        return status

    def workers(self) -> list[str]:
        answer = self.see("/workers?json=1")
        return [row["hostname"] for row in answer.json()["data"] if row["status"]] if answer.ok else []

    def doctor(self, **env: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
        return doctor({**self.stack.env, **env})


def doctor(env: dict[str, str], *options: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
    """Exit code, and the findings by subject."""
    done = warm.medianest(["doctor", "--json", *options], env, ROOT)
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert {0: "ok", 1: "warn", 2: "fail"}[done.returncode] == report["state"]
    found: dict[str, list[dict[str, str]]] = {}
    for finding in report["findings"]:
        assert (finding["state"] == "ok") == (finding["advice"] == ""), finding
        found.setdefault(finding["subject"], []).append(finding)
    return done.returncode, found


@pytest.fixture(scope="module")
def operated(
    tmp_path_factory: pytest.TempPathFactory, short_tmp: Path, module_database_url: str
) -> Iterator[Installation]:
    folder, port = tmp_path_factory.mktemp("operated"), free_port()
    with EmbeddedRedis(short_tmp / "operated").running() as redis_url:
        stack = Stack(folder, module_database_url, redis_url, FLOWER_PORT=str(port))
        with running(stack):
            stack.start("flower", "medianest", "flower")
            stack.start("beat", "celery", "-A", "schedules.beat", "beat", "-s", str(folder / "schedule"))
            stack.start_web()
            stack.start_worker("all", ",".join(QUEUES), 1)
            eventually(lambda: "flower.ready" in stack.log("flower"), what="flower listens")
            yield Installation(stack, stack.bootstrap(), port)


def test_strangers_do_not_even_wake_it(operated: Installation) -> None:
    with socket.create_connection(("127.0.0.1", operated.flower_port)):  # says nothing, and holds nobody up
        assert operated.knock("/flower/workers") == 403
    assert operated.knock("/flower/workers", "1.00") == 403
    assert "flower.awake" not in operated.stack.log("flower")


def test_admins_see_the_real_workers_and_their_tasks(operated: Installation) -> None:
    (worker,) = eventually(operated.workers)
    assert worker.startswith("all@")
    assert worker in operated.see("/").text
    assert "Pool" in eventually(lambda: operated.see(f"/worker/{worker}")).text

    query = "/tasks/datatable?draw=1&start=0&length=9&order[0][column]=0&columns[0][data]=name"

    def named() -> list[dict[str, str]]:
        """One whose beginning Flower missed while it woke has no name."""
        return [row for row in operated.see(query).json()["data"] if row["name"]]

    (row, *_) = eventually(named, what="beat's tasks are listed")
    assert row["name"].startswith("maintenance.")


def test_its_pages_are_whole_under_our_policy(operated: Installation) -> None:
    for page, own_scripts in (("/", 1), ("/tasks", 0), ("/broker", 0)):
        assert operated.see(page, method="HEAD").status_code == 200
        answer = operated.see(page)
        policy = answer.headers["Content-Security-Policy"]
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
        assets = re.findall(r'(?:src|href)="/flower(/static/[^"]+)"', answer.text)
        scripts = re.findall(r"<script(?: type=[^>]*)?>(.*?)</script>", answer.text, re.DOTALL)
        assert assets
        assert len(scripts) == own_scripts
        for asset in assets:
            assert operated.see(asset).status_code == 200, asset
        for script in scripts:
            assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
    assert "'POST'" not in operated.see("/static/js/flower.js").text.partition("/tasks/datatable")[0][-80:]


@pytest.mark.parametrize("path", CONTROL)
def test_nothing_can_be_changed_by_way_of_our_door(operated: Installation, path: str) -> None:
    assert operated.see(path).status_code == 404
    assert operated.see(path, method="POST").status_code == 405


@pytest.mark.parametrize(
    "odd", [b"/flower/%0d%0aX: y", b"/flower/\xc3\xa9", b"/flower/static/../../x", b"/flower/?a=%C3\xff"]
)
def test_odd_addresses_do_no_harm(operated: Installation, odd: bytes) -> None:
    with socket.create_connection(("127.0.0.1", operated.stack.port), 10) as client:
        token = operated.admin.token.encode()
        client.sendall(
            b"GET "
            + odd
            + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "
            + token
            + b"\r\n\r\n"
        )
        status = int(client.makefile("rb").readline().split()[1])
    assert status in {200, 400, 404, 503}


def test_nobody_else_gets_in(operated: Installation) -> None:
    # By our door: strangers, and users without the permission.
    for page in ("/", "/workers", "/static/js/flower.js", "/metrics", "/healthcheck", "/nothing"):
        answer = requests.get(f"{operated.stack.url}/flower{page}", timeout=10)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHORIZED")
    browser = requests.get(
        f"{operated.stack.url}/flower/", headers={"Accept": "text/html,*/*;q=0.8"}, timeout=10
    )
    assert (browser.status_code, "Sign in" in browser.text, "Flower" in browser.text) == (401, True, False)

    # At Flower's own port: everybody without a pass, and everything but looking with one.
    settings = Settings(secret_key=operated.stack.env["SECRET_KEY"])
    for target in ("/", "/flower/", "/flower/workers", "/flower/static/js/flower.js", *CONTROL):
        assert operated.knock(target) == 403
        assert operated.knock(f"/flower{target}", "1.00", method="POST") == 403
    given = flower_pass.issue(settings, "/flower/workers")
    assert operated.knock("/flower/workers", given) == 200
    assert operated.knock("/flower/workers", given, method="POST") == 405
    assert operated.knock("/flower/tasks", given) == 403
    for path in CONTROL:
        assert operated.knock(f"/flower{path}", flower_pass.issue(settings, f"/flower{path}")) == 404


def test_it_follows_role_and_disabling_at_once(operated: Installation) -> None:
    stack = operated.stack
    assert operated.see("/workers").status_code == 200
    (role,) = stack.query("SELECT role FROM users")[0]
    try:
        stack.query("UPDATE users SET role = 'user'")
        assert operated.see("/workers").status_code == 403
        stack.query("UPDATE users SET role = %s, disabled_at = now()", role)
        assert operated.see("/workers").status_code == 401
    finally:
        stack.query("UPDATE users SET role = %s, disabled_at = NULL", role)
    assert operated.see("/workers").status_code == 200


def test_the_doctor_finds_a_whole_stack_well(operated: Installation) -> None:
    eventually(lambda: operated.stack.query("SELECT 1 FROM heartbeats"))
    code, found = operated.doctor(DISK_RESERVE_BYTES="0", DISK_RESERVE_PERCENT="0")
    ill = {subject for subject, findings in found.items() for finding in findings if finding["state"] != "ok"}
    assert ill <= {"yt-dlp"}, found
    assert code == (1 if ill else 0)
    assert len(found["workers"]) == len(QUEUES)
    assert "sees the same" in found["shared folder"][0]["text"]
    assert not list((operated.stack.downloads / ".medianest").iterdir())  # the probe is gone


def test_the_doctor_sees_what_is_wrong(operated: Installation, tmp_path: Path) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        operated.stack.query("INSERT INTO queues (name, paused_at) VALUES ('downloads', now())")
        try:
            code, found = operated.doctor(
                DOWNLOAD_DIR=str(tmp_path),
                PORT=str(stranger.getsockname()[1]),
                FLOWER_PORT=str(stranger.getsockname()[1]),
            )
        finally:
            operated.stack.query("DELETE FROM queues")
    assert code == 2
    assert "does not see" in found["shared folder"][0]["text"]
    assert "is taken" in found["http"][0]["text"]
    assert "taken by another program" in found["flower"][0]["text"]
    assert "is held since" in found["queues"][0]["text"]


def test_the_doctor_works_while_nothing_does(tmp_path: Path) -> None:
    keep = {"PATH": "/usr/bin:/bin", "DATA_DIR": str(tmp_path / "data"), "FLOWER_PORT": "0"}
    port = str(free_port())
    code, found = doctor(keep | {"PORT": port})  # embedded, never started
    assert code == 2
    assert found["database"][0]["text"] == "the embedded postgres does not exist yet"
    assert f"nothing listens on port {port}" in found["http"][0]["text"]
    assert not (tmp_path / "data").exists()

    away = {"DATABASE_URL": "postgresql://127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1"}
    code, found = doctor(keep | away | {"PORT": port})
    failed = {subject for subject, findings in found.items() if findings[0]["state"] == "fail"}
    assert failed == {"database", "redis", "workers", "beat", "shared folder", "plex", "http", "websocket"}


def test_an_old_ytdlp_is_told() -> None:
    (fresh,), (old,) = machine.ytdlp(date(2026, 8, 20)), machine.ytdlp(date(2126, 8, 20))
    assert (fresh.state, old.state) == ("ok", "warn")


def test_flower_that_is_away_is_told(operated: Installation) -> None:
    operated.stack.kill_group("flower")
    answer = operated.see("/")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
