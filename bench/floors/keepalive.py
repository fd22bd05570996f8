"""A client that costs little: one process, one thread, kept-alive connections, each asking as soon as it was answered.

python -m bench.floors.keepalive PORT PATH CLIENTS SECONDS   (the token on standard input, JSON on standard output)
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from dataclasses import dataclass

from bench.report import percentile

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass
class Visitor:
    """One connection, and what it has heard of the present answer."""

    connection: socket.socket
    request: bytes
    began: float = 0.0
    heard: bytes = b""

    def ask(self) -> None:
        """Send the request; it fits into the socket's buffer."""
        self.heard = b""
        self.began = time.perf_counter()
        self.connection.sendall(self.request)

    def take(self) -> bool:
        """Read what is there; whether the answer is whole."""
        self.heard += self.connection.recv(1 << 18)
        head, found, body = self.heard.partition(_END)
        if not found:
            assert self.heard, "the server closed the connection"
            return False
        assert b" 200 " in head[:20], self.heard[:500]
        length = head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0]
        return len(body) >= int(length)


def visit(port: int, path: str, token: str, clients: int, seconds: float) -> dict[str, float]:
    """Ask for `seconds`; requests a second, and milliseconds of the middle and of the slowest hundredth."""
    request = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    )
    selector = selectors.DefaultSelector()
    for _ in range(clients):
        visitor = Visitor(socket.create_connection(("127.0.0.1", port)), request)
        visitor.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(visitor.connection, selectors.EVENT_READ, visitor)
        visitor.ask()
    took: list[float] = []
    began, cpu = time.perf_counter(), time.process_time()
    while (now := time.perf_counter()) - began < seconds:
        for key, _ in selector.select(1.0):
            if key.data.take():
                took.append(time.perf_counter() - key.data.began)
                key.data.ask()
    return {
        "rps": len(took) / (now - began),
        "p50": percentile(took, 0.5) * 1000,
        "p99": percentile(took, 0.99) * 1000,
        "client_cpu": (time.process_time() - cpu) / (now - began),
    }


if __name__ == "__main__":
    port, path, clients, seconds = sys.argv[1:]
    print(json.dumps(visit(int(port), path, sys.stdin.read().strip(), int(clients), float(seconds))))
