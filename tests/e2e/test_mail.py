"""From a forgotten password to a new one with real processes, and mails whose worker dies in the middle."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import websocket
from fakes.mail_server import Behaviour, MailServer
from stack import PASSWORD, Client, Stack, eventually, running

from cli.embedded import EmbeddedRedis

NEW = "a new and better one"


@pytest.fixture(scope="module")
def server() -> Iterator[MailServer]:
    with MailServer() as served:
        yield served


@pytest.fixture(autouse=True)
def kind_server(server: MailServer) -> None:
    server.behaviour = Behaviour()


@pytest.fixture(scope="module")
def stack(
    short_tmp: Path,
    module_database_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    server: MailServer,
) -> Iterator[Stack]:
    with EmbeddedRedis(short_tmp / "mail").running() as redis_url:
        built = Stack(
            tmp_path_factory.mktemp("stack"), module_database_url, redis_url,
            APP_ENV="production", SETUP_TOKEN="t" * 40, SMTP_URL=server.url(), SHORT_LEASE_SECONDS="3",
            SHORT_LEASE_RENEW_SECONDS="1",
        )  # fmt: skip
        with running(built):
            built.start_web()
            built.start_maintenance()
            built.start_beat()
            yield built


@pytest.fixture(scope="module")
def admin(stack: Stack) -> Client:
    body = {"email": "admin@example.com", "password": PASSWORD, "name": "Bob", "setupToken": "t" * 40}
    answer = requests.post(f"{stack.url}/api/v1/auth/admin", json=body, timeout=10)
    assert answer.status_code == 201, answer.text
    return Client(stack.url, answer.json()["data"]["token"])


def post(stack: Stack, path: str, **body: str) -> requests.Response:
    return requests.post(f"{stack.url}/api/v1/auth/{path}", json=body, timeout=20)


@contextmanager
def listening(stack: Stack, client: Client) -> Iterator[websocket.WebSocket]:
    """A socket of somebody's own events, whose snapshot has arrived."""
    url = stack.url.replace("http", "ws") + "/ws/authenticated"
    header = [f"Authorization: Bearer {client.token}"]
    with closing(websocket.create_connection(url, timeout=20, header=header)) as socket:
        assert json.loads(socket.recv())["event"] == "snapshot"
        yield socket


def frames(socket: websocket.WebSocket) -> Iterator[dict[str, Any]]:
    while True:
        yield json.loads(socket.recv())


def mail_row(stack: Stack, recipient: str) -> tuple[str, bool, str | None]:
    """Status, whether it was handed over, and the kind of its error."""
    query = "SELECT status, handed_over_at IS NOT NULL, error->>'kind' FROM mails WHERE recipient = %s"
    (row,) = stack.query(query, recipient)
    return row[0], row[1], row[2]


def kill_worker(stack: Stack) -> None:
    stack.kill_group("worker")


def test_invited_then_forgotten_then_reset(stack: Stack, admin: Client, server: MailServer) -> None:
    ann = "ann@example.com"
    assert admin.call("POST", "/admin/invitations", json={"email": ann}).status_code == 201
    eventually(lambda: server.to(ann), what="the invitation arrives")
    token = parse_qs(urlsplit(server.to(ann)[0].link).query)["token"][0]
    with listening(stack, admin) as socket:
        accepted = post(stack, "invitations/accept", token=token, name="Ann", password=PASSWORD)
        assert accepted.status_code == 201
        told = next(frame for frame in frames(socket) if frame["event"] == "notification:new")
    assert told["data"]["title"] == "Ann accepted your invitation"
    (row,) = admin.call("GET", "/dashboard/notifications").json()["data"]["items"]
    assert {**row, "createdAt": ""} == {**told["data"], "createdAt": ""}
    old = Client(stack.url, accepted.json()["data"]["token"])
    assert old.call("GET", "/auth/session").status_code == 200

    known = post(stack, "password-reset/request", email=ann)
    unknown = post(stack, "password-reset/request", email="nobody@example.com")
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
    own = {"X-Correlation-ID", "Date"}
    assert {k: v for k, v in known.headers.items() if k not in own} == {
        k: v for k, v in unknown.headers.items() if k not in own
    }
    eventually(lambda: len(server.to(ann)) == 2, what="the link arrives")
    link = parse_qs(urlsplit(server.to(ann)[1].link).query)
    body = {"token": link["token"][0], "tokenId": link["tokenId"][0]}
    assert post(stack, "password-reset/verify", **body).status_code == 200
    done = post(stack, "password-reset/confirm", token=body["token"], newPassword=NEW)

    assert done.status_code == 200, done.text
    assert old.call("GET", "/auth/session").status_code == 401
    assert post(stack, "login", email=ann, password=PASSWORD).status_code == 401
    assert post(stack, "login", email=ann, password=NEW).status_code == 200
    assert post(stack, "password-reset/verify", **body).status_code == 404
    eventually(lambda: len(server.to(ann)) == 3, what="the news of it arrives")
    eventually(lambda: mail_row(stack, "nobody@example.com")[0] == "completed")
    assert server.to("nobody@example.com") == []
    for name in ("web", "worker"):
        log = stack.log(name)
        assert "notifications.mail" in log or name == "web"
        assert token not in log
        assert body["token"] not in log


@pytest.mark.long
def test_a_worker_killed_before_the_text_is_succeeded(
    stack: Stack, admin: Client, server: MailServer
) -> None:
    server.behaviour.hang_at = "RCPT"
    reached = len(server.reached)
    admin.call("POST", "/admin/invitations", json={"email": "before@example.com"})
    eventually(lambda: "RCPT" in server.reached[reached:], what="the conversation hangs")
    assert mail_row(stack, "before@example.com")[:2] == ("sending", False)

    kill_worker(stack)
    server.behaviour.hang_at = None
    stack.start_maintenance()

    eventually(lambda: mail_row(stack, "before@example.com")[0] == "completed", 40)
    assert len(server.to("before@example.com")) == 1


def test_a_worker_killed_after_the_text_never_is(stack: Stack, admin: Client, server: MailServer) -> None:
    server.behaviour.hang_at = "TEXT"
    admin.call("POST", "/admin/invitations", json={"email": "after@example.com"})
    eventually(lambda: server.to("after@example.com"), what="the server has the text")
    assert mail_row(stack, "after@example.com")[:2] == ("sending", True)

    kill_worker(stack)
    server.behaviour.hang_at = None
    stack.start_maintenance()

    eventually(lambda: mail_row(stack, "after@example.com")[0] == "failed", 40)
    assert mail_row(stack, "after@example.com")[2] == "unknown_outcome"
    admin.call("POST", "/admin/invitations", json={"email": "later@example.com"})
    eventually(lambda: server.to("later@example.com"), what="others still arrive")
    assert len(server.to("after@example.com")) == 1


@pytest.mark.long
def test_a_worker_that_shuts_down_lets_the_next_one_send(
    stack: Stack, admin: Client, server: MailServer
) -> None:
    server.behaviour.hang_at = "RCPT"
    reached = len(server.reached)
    admin.call("POST", "/admin/invitations", json={"email": "shutdown@example.com"})
    eventually(lambda: "RCPT" in server.reached[reached:], what="the conversation hangs")

    process = stack.processes.pop("worker")
    process.send_signal(signal.SIGTERM)
    process.wait(12)
    query = "SELECT status, attempt, crash_count FROM mails WHERE recipient = %s"
    assert stack.query(query, "shutdown@example.com") == [("queued", 0, 0)], "given back, uncounted"
    server.behaviour.hang_at = None
    stack.start_maintenance()

    eventually(lambda: mail_row(stack, "shutdown@example.com")[0] == "completed", 40)
    assert len(server.to("shutdown@example.com")) == 1
