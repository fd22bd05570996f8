"""A real web server, two processes of it, whose clients send what is no HTTP."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psutil
import psycopg
import pytest
import requests
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from raw_http import answer_on
from stack import BIN, Stack, eventually, running

AMOUNT = 30  # anonymous requests of an address
PROXY = "127.0.0.77"
HOST = b"Host: x\r\n"
POST = b"POST /api/v1/auth/login HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
_numbers = count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, postgres: str, shared_redis: str) -> Iterator[Stack]:
    """Two web processes that count in one Redis."""
    folder: Path = tmp_path_factory.mktemp("malformed")
    plain = postgres.replace("+psycopg", "").replace("/medianest?", "/postgres?")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("CREATE DATABASE malformed TEMPLATE medianest STRATEGY FILE_COPY")
    limits = {"RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_ANONYMOUS": f"{AMOUNT}/h", "RATE_LIMIT_LOGIN": "off"}
    url = postgres.replace("/medianest?", "/malformed?")
    more = {"WEB_CONCURRENCY": "2", "WEB_THREADS": "4", "TRUSTED_PROXIES": PROXY}
    with running(Stack(folder, url, shared_redis, **limits, **more)) as stack:
        # Files that a process may have open at once.
        few = 'ulimit -n 300; exec "$0" --config python:api.gunicorn api.wsgi:app'
        stack.start("web", "/bin/sh", "-c", few, str(BIN / "gunicorn"))
        eventually(stack._answers, what="web answers")
        yield stack
        assert "Traceback" not in stack.log("web")


@pytest.fixture
def address() -> str:
    """One that nothing was counted for yet."""
    return a_stranger()


def a_stranger() -> str:
    number = next(_numbers)
    return f"127.1.{number // 250}.{number % 250 + 1}"


def ask(stack: Stack, address: str, *parts: bytes) -> bytes:
    """Send bytes, then no more; everything that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", stack.port), timeout=20, source_address=(address, 0)) as sock:
        with contextlib.suppress(OSError):  # it may have closed already
            for part in parts:
                sock.sendall(part)
            sock.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while data := sock.recv(65536):
                answer += data
    return answer


def statuses(answer: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"(?:^|\n|\})HTTP/1\.1 (\d{3}) ", answer)]


def health_seconds(stack: Stack, times: int = 5) -> float:
    """The quickest of a few, which a busy machine falsifies least."""
    took = []
    for _ in range(times):
        began = time.monotonic()
        assert requests.get(f"{stack.url}/health", timeout=30).status_code == 200
        took.append(time.monotonic() - began)
    return min(took)


def web_processes(stack: Stack) -> set[int]:
    return {child.pid for child in psutil.Process(stack.processes["web"].pid).children()}


LONG = b"X-A: " + b"a" * 8000 + b"\r\n"
BAD = {
    "header without a colon": b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
    "tokens without end": b"GET / HTTP/1.1\r\n" + b"-eyJ" * 15_000 + b"\r\n\r\n",
    "tokens beyond the head": b"GET / HTTP/1.1\r\n" + b"-eyJ" * 100_000 + b"\r\n\r\n",
    "size of tokens": CHUNKED + b"-eyJ" * 15_000 + b"\r\n",
    "size below nothing": CHUNKED + b"-1\r\n\r\n",
    "size of letters": CHUNKED + b"zz\r\n\r\n",
    "no size": CHUNKED + b"\r\n\r\n",
    "line feed in an extension": CHUNKED + b"0;a\nb\r\n\r\n",
    "endless extension": CHUNKED + b"1;" + b"a" * 70_000,
    "chunk longer than its size": CHUNKED + b"1\r\nabc\r\n0\r\n\r\n",
    "chunk that ends early": CHUNKED + b"ff\r\nabc",
    "no last chunk": CHUNKED + b"1\r\na\r\n",
    "forbidden trailer": CHUNKED + b"0\r\nContent-Length: 3\r\n\r\n",
    "trailers without end": CHUNKED + b"0\r\n" + b"a: b\r\n" * 200_000,
    "crumbs": CHUNKED + b"1\r\n \r\n" * 60_000 + b"0\r\n\r\n",
    "both lengths": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "negative length": POST + b"Content-Length: -3\r\n\r\nabc",
    "length of letters": POST + b"Content-Length: abc\r\n\r\nabc",
    "superscript length": POST + "Content-Length: ²\r\n\r\nabc".encode("latin-1"),
    "body that breaks off": POST + b"Content-Length: 30\r\n\r\nabc",
    "unknown coding": POST + b"Transfer-Encoding: zip\r\n\r\n",
    "old chunks": POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "folded header": b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
    "zero byte": b"GET / HTTP/1.1\r\nA: b\0c\r\n\r\n",
    "line feeds alone": b"GET / HTTP/1.1\nHost: x\n\n",
    "too many headers": b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n",
    "too large a header": b"GET / HTTP/1.1\r\nA: " + b"b" * 9000 + b"\r\n\r\n",
    "too large a head": b"GET / HTTP/1.1\r\n" + LONG * 90 + b"\r\n",
    "too long an address": b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "small method": b"get / HTTP/1.1\r\n\r\n",
    "long method": b"A" * 30 + b" / HTTP/1.1\r\n\r\n",
    "version of the future": b"GET / HTTP/9.9\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "asterisk": b"GET * HTTP/1.1\r\n\r\n",
    "authority": b"GET x:80 HTTP/1.1\r\n\r\n",
    "empty brackets": b"GET http://[/ HTTP/1.1\r\n\r\n",
    "letters beyond": "GET /é HTTP/1.1\r\n\r\n".encode(),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2,
    "nothing but a line": b"\r\n",
    "half a head": b"GET /health HTTP/1.1\r\nHost:",
    "unknown expectation": POST + b"Expect: 200-ok\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_request_is_refused_in_the_form_of_all_answers(
    server: Stack, address: str, name: str
) -> None:
    answer = ask(server, address, BAD[name])

    assert statuses(answer) == [400]
    head, _, body = answer.partition(b"\r\n\r\n")
    said = json.loads(body)
    assert said["error"]["code"] == "VALIDATION_ERROR"
    assert said["error"]["details"]["request"]
    assert said["correlationId"].encode() in head
    assert b"connection: close" in head.lower()


@pytest.mark.parametrize(
    "data",
    [
        b"CONNECT x:80 HTTP/1.1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\n\r\n",
        b"GET http://elsewhere.example/nowhere HTTP/1.1\r\n\r\n",
        b"BREW /health HTTP/1.1\r\n\r\n",
        b"GET //%00/%ff%fe/..%2f HTTP/1.1\r\n\r\n",
        b"GET /api/v1/youtube/downloads/%00 HTTP/1.1\r\n\r\n",
        b"GET /?%ff=%00&=&a[]=" + b"&a" * 3000 + b" HTTP/1.1\r\n\r\n",
        b"GET /nowhere HTTP/1.1\r\nCookie: " + b"a=b; " * 1500 + b"\r\n\r\n",
        b"GET /nowhere HTTP/1.1\r\nCookie: " + b'a="\\"' * 1500 + b"\r\n\r\n",
        b"GET /nowhere HTTP/1.1\r\nAccept: " + b"a/b;q=;" * 1100 + b"\r\n\r\n",
        b"GET /nowhere HTTP/1.1\r\nHost: \xff\xfe]:[\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"GET /ws/authenticated HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        b"Sec-WebSocket-Key: \xff\r\nSec-WebSocket-Version: x\r\n\r\n",
        POST + b"Content-Type: multipart/form-data; boundary=" + b"-" * 200 + b"\r\n\r\n",
        POST + b"Content-Length: 60000\r\n\r\n" + b"[" * 60_000,
        POST + b"Content-Length: 1611\r\n\r\n" + b'{"email": ' + b"[" * 800 + b"]" * 800 + b"}",
        POST + b"Content-Length: 8\r\n\r\n\xff\xfe\xfd\xfc{}[]",
    ],
)
def test_what_is_a_strange_request_is_answered_and_no_fault_of_ours(
    server: Stack, address: str, data: bytes
) -> None:
    found = statuses(ask(server, address, data))
    assert len(found) == 1
    assert 400 <= found[0] < 500


def test_a_body_that_nobody_reads_is_no_second_answer(server: Stack, address: str) -> None:
    head = b"GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert statuses(ask(server, address, head + b"zz\r\n\r\n")) in ([200], [400])
    after = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    assert len(statuses(ask(server, address, head + b"-1\r\n\r\n" + after))) == 1


def test_it_counts_for_the_address_in_all_processes_together(server: Stack, address: str) -> None:
    for _ in range(AMOUNT // 2):
        assert statuses(ask(server, address, BAD["header without a colon"])) == [400]
        assert statuses(ask(server, address, BAD["size of letters"])) == [400]

    answer = ask(server, address, BAD["no version"])
    assert statuses(answer) == [429]
    assert re.search(rb"\r\nRetry-After: [1-9]\d*\r\n", answer)
    assert b"RATE_LIMIT_EXCEEDED" in answer
    assert statuses(ask(server, address, CHUNKED + b"-1\r\n\r\n")) == [429]
    assert statuses(ask(server, address, b"GET /nowhere HTTP/1.1\r\n\r\n")) == [429]
    assert statuses(ask(server, a_stranger(), BAD["no version"])) == [400]


def test_it_shows_what_is_left_as_all_answers_do(server: Stack, address: str) -> None:
    def shown(answer: bytes) -> list[int]:
        return [
            int(found) for found in re.findall(rb"\r\nX-RateLimit-(?:Limit|Remaining|Reset): (\d+)", answer)
        ]

    for left in range(AMOUNT - 1, -1, -1):
        amount, remaining, reset = shown(ask(server, address, BAD["no version"]))
        assert (amount, remaining) == (AMOUNT, left)
        assert reset > time.time()
    refused = ask(server, address, BAD["no version"])
    assert statuses(refused) == [429]
    assert shown(refused)[:2] == [AMOUNT, 0]
    assert shown(ask(server, PROXY, BAD["no version"])) == []


def test_a_large_body_that_never_comes_is_refused_at_once(server: Stack, address: str) -> None:
    began = time.monotonic()
    with socket.create_connection(
        ("127.0.0.1", server.port), timeout=20, source_address=(address, 0)
    ) as sock:
        sock.sendall(POST + b"Content-Length: 2000000\r\n\r\n" + b" " * 70_000)
        answer = answer_on(sock)
    assert answer.status == 413
    assert b"PAYLOAD_TOO_LARGE" in answer.body
    assert time.monotonic() - began < 8  # a body may take 10 seconds and more


def test_a_proxy_is_not_blamed_for_what_it_passes_on(server: Stack) -> None:
    """What the client behind it sent can't be told from a head that can't be read."""
    for _ in range(AMOUNT + 5):
        assert statuses(ask(server, PROXY, BAD["no version"])) == [400]
    client = b"X-Forwarded-For: 192.0.2.7\r\n"
    body = CHUNKED.replace(HOST, HOST + client) + b"zz\r\n\r\n"
    found = [statuses(ask(server, PROXY, body)) for _ in range(AMOUNT + 1)]
    assert found == [[400]] * AMOUNT + [[429]]


def test_a_storm_is_logged_now_and_then_and_without_what_was_sent(server: Stack) -> None:
    for _ in range(200):
        ask(server, a_stranger(), b"GET / HTTP/1.1\r\nmn_of_a_stranger\r\n\r\n")
    log = server.log("web")
    assert "request.malformed" in log
    assert log.count("request.malformed") < 20
    assert "mn_of_a_stranger" not in log


def test_patterns_of_an_attacker_delay_nobody(server: Stack, address: str) -> None:
    """Each of them took seconds of a process, or killed it."""
    alive, before = web_processes(server), health_seconds(server)
    for name in ("tokens without end", "tokens beyond the head", "size of tokens"):
        for _ in range(3):
            assert statuses(ask(server, address, BAD[name])) == [400]
    assert health_seconds(server) < 20 * before + 0.2
    assert web_processes(server) == alive


def test_a_process_that_can_open_nothing_more_makes_room(server: Stack) -> None:
    """More connections than a process may have files: the one that says something is served."""
    alive = web_processes(server)
    with contextlib.ExitStack() as life:
        for _ in range(700):
            idle = socket.create_connection(
                ("127.0.0.1", server.port), timeout=20, source_address=(a_stranger(), 0)
            )
            life.enter_context(idle).sendall(b"GET")
        assert requests.get(f"{server.url}/health", timeout=20).status_code == 200
        eventually(lambda: "no connection can be taken" in server.log("web"))
    assert web_processes(server) == alive


def test_what_comes_right_behind_a_handshake_is_heard(server: Stack, address: str) -> None:
    handshake = b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + (
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    ping = b"\x89\x83\0\0\0\0abc"
    with socket.create_connection(
        ("127.0.0.1", server.port), timeout=20, source_address=(address, 0)
    ) as sock:
        sock.sendall(handshake + ping)
        answer = b""
        while b"\x8a\x03abc" not in answer:
            data = sock.recv(65536)
            assert data, answer
            answer += data


PIECES = st.sampled_from(
    [
        b"GET", b"POST", b"OPTIONS", b"HEAD", b" ", b"  ", b"/", b"*", b"/health", b"/api/v1/auth/login", b"?a=%ff",
        b"http://[::1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\0", b":",
        b": ", b"Host: x\r\n", b"Content-Length: 5\r\n", b"Content-Length: 99999999999999999999\r\n",
        b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: chunked, chunked\r\n", b"Expect: 100-continue\r\n",
        b"Content-Type: application/json\r\n", b"Connection: keep-alive\r\n", b"Connection: Upgrade\r\n",
        b"Upgrade: h2c\r\n", b"Upgrade: websocket\r\n", b"0\r\n", b"5\r\nabcde\r\n", b"-1\r\n", b"ffffffffffffffffff\r\n",
        b"5;a=\"\\\r\n", b"{}", b"[[[[", b"abcde", b"\x16\x03\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"eyJ" * 99,
    ]
)  # fmt: skip
NOISE = st.lists(PIECES | st.binary(max_size=12), max_size=24).map(b"".join)
START = st.sampled_from(
    [b"", b"GET /health HTTP/1.1\r\n", POST, CHUNKED, POST + b"Content-Length: 2\r\n\r\n{}"]
)


def test_random_bytes_are_refused_or_closed_and_delay_nobody(server: Stack) -> None:
    alive, before = web_processes(server), health_seconds(server)

    @hypothesis_settings(
        max_examples=250,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(START, NOISE, NOISE)
    def send(start: bytes, one: bytes, other: bytes) -> None:
        for status in statuses(ask(server, a_stranger(), start + one, other)):
            assert status < 500

    send()
    assert health_seconds(server) < 20 * before + 0.2
    assert web_processes(server) == alive
