"""The row of the battery about people who are no users: they send what is no HTTP, without end."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import psutil
import requests

from tests.faults.installation import Installation
from tests.faults.ledger import Ledger
from tests.faults.scenarios import ask_many
from tests.stack import eventually

THREADS = 3
HEAD = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SENT = (
    b"GET / HTTP/1.1\r\n" + b"-eyJ" * 15_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"token=" * 60_000,
    CHUNKED + b"-eyJ" * 15_000 + b"\r\n",
    CHUNKED + b"zz\r\n\r\n",
    CHUNKED + b"1\r\n \r\n" * 10_000,
    HEAD + b"Content-Length: 999\r\n\r\nabc",
    b"\x16\x03\x01" + bytes(range(256)),
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 500 + b"\r\n",
)


def malformed(installation: Installation, ledger: Ledger) -> None:
    """Downloads go on, /health stays quick, and no web process ends."""
    alive = _web(installation)
    usual = _quickest(installation)
    over = threading.Event()
    storm = [threading.Thread(target=_send, args=(installation, over), daemon=True) for _ in range(THREADS)]
    for each in storm:
        each.start()
    try:
        ask_many(installation, ledger, int(max(8, 40 * installation.scale)))
        eventually(lambda: ledger.active() == 0, 120, what="the downloads end meanwhile")
        meanwhile = _quickest(installation)
    finally:
        over.set()
        for each in storm:
            each.join()
    assert meanwhile < 20 * usual + 0.2, f"/health took {meanwhile:.3f} s, {usual:.3f} s without a storm"
    assert _web(installation) == alive, "a web process ended"
    ledger.drain(60)


def _send(installation: Installation, over: threading.Event) -> None:
    while not over.is_set():
        for data in SENT:
            with contextlib.suppress(OSError), _connected(installation) as sock:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass
            installation.measures.faults["strangers: malformed requests"] += 1


def _connected(installation: Installation) -> socket.socket:
    return socket.create_connection(("127.0.0.1", installation.port), timeout=10)


def _quickest(installation: Installation) -> float:
    took = []
    for _ in range(10):
        began = time.monotonic()
        assert requests.get(f"{installation.url}/health", timeout=30).status_code == 200
        took.append(time.monotonic() - began)
    return min(took)


def _web(installation: Installation) -> set[int]:
    return {child.pid for child in psutil.Process(installation.processes["web"].pid).children()}
