"""A real web server whose clients send slowly, never finish, never read, or never close."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import requests
from raw_http import answer_on
from stack import Stack, eventually, running

LOGIN = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BODY = json.dumps({"email": "nobody@example.com", "password": "secure_password"}).encode()
CHUNKED = LOGIN + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, postgres: str) -> Iterator[Stack]:
    """One web process with four threads; Redis is down."""
    folder: Path = tmp_path_factory.mktemp("slow")
    plain = postgres.replace("+psycopg", "").replace("/medianest?", "/postgres?")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("CREATE DATABASE slow_clients TEMPLATE medianest STRATEGY FILE_COPY")
    url = postgres.replace("/medianest?", "/slow_clients?")
    with running(Stack(folder, url, f"unix://{folder}/nobody.sock", WEB_THREADS="4")) as stack:
        stack.start_web()
        yield stack


@contextlib.contextmanager
def connections(stack: Stack, number: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as life:
        opened = [life.enter_context(connected(stack)) for _ in range(number)]
        for each in opened:
            each.sendall(first)
        yield opened


def connected(stack: Stack) -> socket.socket:
    return socket.create_connection(("127.0.0.1", stack.port), timeout=30)


@contextlib.contextmanager
def dripping(sockets: list[socket.socket], byte: bytes, pause: float = 0.5) -> Iterator[None]:
    """Let each of them send a byte now and then."""
    done = threading.Event()

    def drip() -> None:
        while not done.wait(pause):
            for each in sockets:
                with contextlib.suppress(OSError):
                    each.send(byte)

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def slowest_health(stack: Stack, until: Callable[[], bool], seconds: float = 40.0) -> float:
    """How long /health took at most, asked by new connections until something has happened."""
    took, deadline = [], time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "it did not happen"
        began = time.monotonic()
        assert requests.get(f"{stack.url}/health", timeout=20).status_code == 200
        took.append(time.monotonic() - began)
        time.sleep(0.05)
    return max(took)


def gone(sock: socket.socket) -> bool:
    """Whether the server has closed it, answer or not."""
    sock.setblocking(False)
    try:
        while sock.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


SLOW = {
    "body": (LOGIN + b"Content-Length: 1000\r\n\r\n", b" "),
    "head": (LOGIN, b""),
    "header": (LOGIN + b"X-Slow: ", b"a"),
    "silent": (b"", b""),
    "chunked": (CHUNKED + b"3e8\r\n", b" "),
    "large": (LOGIN + b"Content-Length: 900000\r\n\r\n" + b" " * 70_000, b" "),
    "expect": (LOGIN + b"Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n", b" "),
    "empty lines": (b"\r\n\r\n", b""),
    "two lengths": (LOGIN + b"Content-Length: 1000\r\nContent-Length: 1000\r\n\r\n", b" "),
}


@pytest.mark.long
def test_a_hundred_slow_clients_delay_nobody_and_are_dropped(server: Stack) -> None:
    began = time.monotonic()
    with connections(server, 100, SLOW["body"][0]) as slow, dripping(slow, SLOW["body"][1]):
        worst = slowest_health(server, lambda: gone(slow[-1]))

    assert worst < 2
    assert 8 < time.monotonic() - began < 20


@pytest.mark.long
def test_nor_does_any_other_way_to_be_slow(server: Stack) -> None:
    """Also those that only a thread can read: they stand in line for a few of them."""
    with contextlib.ExitStack() as life:
        slow = []
        for first, byte in SLOW.values():
            slow += life.enter_context(connections(server, 15, first))
            life.enter_context(dripping(slow[-15:], byte))
        worst = slowest_health(server, lambda: all(map(gone, slow)), seconds=60)

    assert worst < 2


def test_a_slow_but_honest_client_is_served(server: Stack) -> None:
    head = LOGIN + b"Content-Length: %d\r\n\r\n" % len(BODY)
    with connected(server) as slow:
        for part in (head[:30], head[30:], BODY[:20], BODY[20:]):
            slow.sendall(part)
            time.sleep(1)
        assert answer_on(slow).status == 401


@pytest.mark.long
@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_may_take_as_long_as_its_size_is_worth(server: Stack, chunked: bool) -> None:
    """900 KB in 15 seconds: longer than a small request may take."""
    blocks = [b" " * 60_000] * 15 + [BODY]
    head = CHUNKED if chunked else LOGIN + b"Content-Length: %d\r\n\r\n" % sum(map(len, blocks))
    with connected(server) as slow:
        slow.sendall(head)
        for block in blocks:
            slow.sendall(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
            time.sleep(0.95)
        if chunked:
            slow.sendall(b"0\r\n\r\n")
        assert answer_on(slow).status == 401


def test_requests_that_come_at_once_are_answered_in_order(server: Stack) -> None:
    ask = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    post = LOGIN + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    last = b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with connected(server) as sock:
        sock.sendall(ask + post + ask + last)
        answer = b""
        while data := sock.recv(65536):
            answer += data
    statuses = [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"401", b"200", b"404"]


def test_a_connection_is_kept_for_more_than_a_request_and_over_a_pause(server: Stack) -> None:
    with requests.Session() as session:
        ports = set()
        for _ in range(3):
            answer = session.get(f"{server.url}/health", timeout=5, stream=True)
            ports.add(answer.raw.connection.sock.getsockname()[1])
            assert answer.json()
            time.sleep(0.5)
    assert len(ports) == 1


def test_who_does_not_close_keeps_nobody_waiting(server: Stack) -> None:
    ask = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with connections(server, 30, ask) as open_still:
        assert slowest_health(server, lambda: all(map(gone, open_still))) < 1


def test_who_does_not_read_is_let_go(server: Stack) -> None:
    """Pages of the documentation, which anybody may ask for, more than the system keeps for a connection."""
    ask = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    with contextlib.ExitStack() as life:
        deaf = []
        for _ in range(4):
            sock = life.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", server.port))
            sock.sendall(ask * 50)
            deaf.append(sock)
        eventually(
            lambda: requests.get(f"{server.url}/health", timeout=60).status_code == 200,
            60,
            what="served again",
        )


def test_what_the_server_itself_refuses_has_the_form_of_all_answers(server: Stack) -> None:
    with connected(server) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost x\r\n\r\n")
        _, headers, body = answer_on(sock)
    answer = json.loads(body)
    assert answer["error"]["details"]["request"]
    usual = requests.get(f"{server.url}/nowhere", timeout=5).headers
    for name in ("Content-Security-Policy", "X-Frame-Options", "X-Content-Type-Options", "Cache-Control"):
        assert headers[name.lower()] == usual[name]
    assert headers["x-correlation-id"] == answer["correlationId"]


@pytest.mark.long
@pytest.mark.parametrize("proxy", ["", "127.0.0.1"])
def test_many_connections_that_say_nothing_make_room_for_those_that_do(
    tmp_path: Path, database_url: str, proxy: str
) -> None:
    """More than a process takes: gunicorn would take no other."""
    nobody = f"unix://{tmp_path}/nobody.sock"
    stack = Stack(tmp_path, database_url, nobody, WEB_THREADS="4", TRUSTED_PROXIES=proxy)
    with running(stack):
        stack.start_web()
        with connections(stack, 1200) as idle:
            if proxy:  # it speaks for many: none of them is dropped before there are too many of all
                eventually(lambda: sum(map(gone, idle)) > 150, 9)
                assert sum(map(gone, idle)) < 300
            assert slowest_health(stack, lambda: gone(idle[-1]), seconds=20) < 2


def test_a_stop_does_not_wait_for_slow_clients(tmp_path: Path, database_url: str) -> None:
    with running(Stack(tmp_path, database_url, f"unix://{tmp_path}/nobody.sock")) as stack:
        stack.start_web()
        with connections(stack, 5), connections(stack, 5, LOGIN):
            requests.get(f"{stack.url}/health", timeout=5)
            began = time.monotonic()
            stack.processes["web"].terminate()
            stack.processes["web"].wait(10)
            assert time.monotonic() - began < 5
