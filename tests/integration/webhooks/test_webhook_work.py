"""The way of a webhook through real processes: killed workers, Redis away, 20 MB, floods; and its secret nowhere."""

from __future__ import annotations

import http.client
import json
import random
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from fakes.plex_server import send_webhook
from raw_http import answer_on
from stack import Client, Stack, eventually, free_port, running

SERVER = {"title": "Office", "uuid": "5466"}
MEGABYTE = 1_000_000


def said(event: str, account: int = 7, key: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "event": event,
        "Account": {"id": account, "title": f"viewer {account}"},
        "Server": SERVER,
        "Metadata": {"ratingKey": str(key), "type": "movie", "title": f"Film {key}", "year": 1995},
        **more,
    }


@contextmanager
def installed(
    tmp_path: Path, database_url: str, redis_url: str, **env: str
) -> Iterator[tuple[Stack, Client, str]]:
    """Web processes, an admin, and the address that he enters in Plex."""
    leases = {"SHORT_LEASE_SECONDS": "3", "SHORT_LEASE_RENEW_SECONDS": "1"}
    with running(Stack(tmp_path, database_url, redis_url, **leases, **env)) as stack:
        stack.start_web()
        client = stack.bootstrap()
        answer = client.call("POST", "/admin/webhooks/senders/plex/rotate")
        assert answer.status_code == 200, answer.text
        yield stack, client, f"{stack.url}/api/v1/webhooks/plex/{answer.json()['data']['secret']}"


@pytest.fixture
def installation(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[tuple[Stack, Client, str]]:
    with installed(tmp_path, database_url, redis_url, LOG_LEVEL="debug") as found:
        yield found


def statuses(stack: Stack) -> Counter[str]:
    return Counter(row[0] for row in stack.query("SELECT status FROM webhooks"))


def post(url: str, payload: dict[str, Any]) -> int:
    return send_webhook(url, payload, thumb=b"", as_json=random.random() < 0.3)


def test_a_hundred_times_in_random_order_among_others(installation: tuple[Stack, Client, str]) -> None:
    """Six messages, each a hundred times, by threads in any order: each has one effect."""
    stack, _, url = installation
    stack.start_maintenance()
    six = [
        said("media.scrobble"),
        said("media.play", key=2),
        said("media.stop", account=8),
        said("media.rate", key=3, rating=8.0),
        said("admin.database.backup"),
        said("media.levitate"),
    ]
    many = six * 100
    random.shuffle(many)

    with ThreadPoolExecutor(8) as pool:
        answers = Counter(pool.map(lambda one: post(url, one), many))

    assert answers == {200: 600}
    eventually(lambda: statuses(stack) == {"processed": 5, "ignored": 1}, 30, what="all are worked on")
    assert stack.query("SELECT sum(copies) FROM webhooks") == [(600,)]
    happened = stack.query("SELECT event, account_id, rating_key, title FROM plex_activities ORDER BY event")
    assert happened == [
        ("play", "7", "2", "Film 2 (1995)"),
        ("rate", "7", "3", "Film 3 (1995)"),
        ("scrobble", "7", "1", "Film 1 (1995)"),
        ("stop", "8", "1", "Film 1 (1995)"),
    ]
    assert stack.query("SELECT count(*) FROM notifications WHERE type = 'plex.admin.database.backup'") == [
        (1,)
    ]


@pytest.mark.long
def test_a_worker_killed_in_the_middle(installation: tuple[Stack, Client, str]) -> None:
    """It hangs in its transaction, dies without a word, and another does the work once."""
    stack, _, url = installation
    stack.start_maintenance()
    stack.start_beat()
    plain = stack.database_url.replace("+psycopg", "")
    with psycopg.connect(plain) as guard:
        guard.execute("LOCK TABLE plex_activities")
        assert post(url, said("media.scrobble")) == 200
        eventually(lambda: statuses(stack) == {"processing": 1}, what="a worker has it")
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'plex_activities'::regclass"
        eventually(lambda: stack.query(waiting)[0][0], what="it hangs in the middle")
        stack.kill_group("worker")
        guard.rollback()
    assert stack.query("SELECT count(*) FROM plex_activities") == [(0,)]

    stack.start_maintenance()

    eventually(lambda: statuses(stack) == {"processed": 1}, 30, what="another has done it")
    assert stack.query("SELECT event FROM plex_activities") == [("scrobble",)]
    ((attempts, crashes),) = stack.query("SELECT attempt, crash_count FROM webhooks")
    assert (attempts, crashes) == (2, 1)


def test_redis_away(tmp_path: Path, database_url: str, redis_url: str) -> None:
    """Answered and stored; the reconciler rings for it once Redis is there."""
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    with installed(tmp_path, database_url, nowhere, RATE_LIMIT_ENABLED="true") as (stack, _, url):
        assert [post(url, said("media.play", key=key)) for key in range(20)] == [200] * 20
        assert "bell.lost" in stack.log("web")
        assert statuses(stack) == {"received": 20}

        stack.env["REDIS_URL"] = redis_url
        stack.start_maintenance()
        stack.start_beat()

        eventually(lambda: statuses(stack) == {"processed": 20}, 30, what="all are worked on")
        assert stack.query("SELECT count(*) FROM plex_activities") == [(20,)]


def test_replay_has_no_second_effect(installation: tuple[Stack, Client, str]) -> None:
    stack, client, url = installation
    stack.start_maintenance()
    post(url, said("media.scrobble"))
    post(url, said("device.new"))
    eventually(lambda: statuses(stack) == {"processed": 2}, what="both are worked on")

    for (row_id,) in stack.query("SELECT id FROM webhooks"):
        assert client.call("POST", f"/admin/webhooks/{row_id}/replay").status_code == 202

    eventually(lambda: stack.query("SELECT sum(epoch) FROM webhooks") == [(4,)], what="both ran again")
    eventually(lambda: statuses(stack) == {"processed": 2}, what="both have ended again")
    assert stack.query("SELECT count(*) FROM plex_activities") == [(1,)]
    assert stack.query("SELECT count(*) FROM notifications WHERE type LIKE 'plex.%%'") == [(1,)]


@pytest.mark.parametrize("chunked", [False, True])
def test_twenty_megabytes(installation: tuple[Stack, Client, str], chunked: bool) -> None:
    """Refused, with the memory of a web process as it was; whether its length is told or not."""
    stack, _, url = installation
    assert post(url, said("media.play")) == 200  # everything that a first request loads is there
    web = [child.pid for child in stack.pool_children("web")]
    before = {pid: psutil.Process(pid).memory_info().rss for pid in web}
    path = url.removeprefix(stack.url)
    part = b'--x\r\nContent-Disposition: form-data; name="payload"\r\n\r\n'
    pieces = [part, *(b" " * MEGABYTE for _ in range(20)), b"\r\n--x--\r\n"]
    head = {"Content-Type": "multipart/form-data; boundary=x"}

    for _ in range(12):
        connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=20)
        length = {} if chunked else {"Content-Length": str(sum(map(len, pieces)))}
        with suppress(ConnectionError):  # the answer may come before all is sent
            connection.request("POST", path, iter(pieces), {**head, **length}, encode_chunked=chunked)
        answer = connection.getresponse()
        assert answer.status == 413
        assert json.loads(answer.read())["error"]["code"] == "PAYLOAD_TOO_LARGE"
        connection.close()

    grown = max(psutil.Process(pid).memory_info().rss - size for pid, size in before.items())
    assert grown < 60 * MEGABYTE, "240 were sent; a few threads keep a buffer of the largest body each"
    assert statuses(stack).total() == 1
    assert post(url, said("media.stop")) == 200


def test_the_secret_is_nowhere(installation: tuple[Stack, Client, str]) -> None:
    """Not in a log at the level debug, whatever goes wrong, nor in an answer, a row or Redis."""
    stack, client, url = installation
    stack.start_maintenance()
    secret = url.rpartition("/")[2]
    answers = [
        client.session.request(method, where, json=said("media.play"), timeout=20).text
        for method, where in (
            ("POST", url), ("GET", url), ("POST", url + "/"), ("POST", url + "/more"), ("PUT", url + "x"),
            ("POST", url.replace("/api/v1", "/api")), ("POST", url.replace("/plex/", "/plex//")),
            ("POST", url.replace("webhooks", "Webhooks")), ("POST", url + "?nothing=1"), ("OPTIONS", url),
        )
    ]  # fmt: skip
    with socket.create_connection(("127.0.0.1", stack.port)) as rude:
        rude.sendall(
            f"POST {url.removeprefix(stack.url)} HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{{".encode()
        )
    with socket.create_connection(("127.0.0.1", stack.port)) as rude:
        rude.sendall(f"POST {url.removeprefix(stack.url)} HTTP/9\r\n\r\n".encode())
        answers.append(str(answer_on(rude)))
    stack.query("ALTER TABLE webhooks RENAME TO elsewhere")
    answers.append(client.session.post(url, json=said("media.play"), timeout=20).text)
    stack.query("ALTER TABLE elsewhere RENAME TO webhooks")
    eventually(lambda: statuses(stack)["processed"], what="one is worked on")

    logs = stack.log("web") + stack.log("worker")
    assert "/webhooks/plex/[redacted]" in logs
    assert "request.failed" in logs
    assert secret not in logs
    assert secret not in "".join(answers)
    tables = [row[0] for row in stack.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    for table in tables:
        assert stack.query(f"SELECT count(*) FROM {table} t WHERE t::text LIKE %s", f"%{secret}%") == [
            (0,)
        ], table
