"""A cheap load generator: one thread, keep-alive connections, each sending its next request after each answer.

python -m bench.floors.keepalive PORT PATH CLIENTS SECONDS   (token on standard input, JSON on standard output)
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
class KeepAliveClient:
    """One connection, and the received part of the present answer."""

    connection: socket.socket
    request: bytes
    began: float = 0.0
    received: bytes = b""

    def send(self) -> None:
        """Send the request, which fits into the socket's send buffer."""
        self.received = b""
        self.began = time.perf_counter()
        self.connection.sendall(self.request)

    def receive(self) -> bool:
        """Read available bytes; returns whether the answer is complete."""
        self.received += self.connection.recv(1 << 18)
        head, found, body = self.received.partition(_END)
        if not found:
            assert self.received, "the server closed the connection"
            return False
        assert b" 200 " in head[:20], self.received[:500]
        length = head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0]
        return len(body) >= int(length)


def measure(port: int, path: str, token: str, clients: int, seconds: float) -> dict[str, float]:
    """Send requests for `seconds`; returns requests per second, p50 and p99 in milliseconds, and the client's CPU share."""
    request = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    )
    selector = selectors.DefaultSelector()
    for _ in range(clients):
        client = KeepAliveClient(socket.create_connection(("127.0.0.1", port)), request)
        client.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(client.connection, selectors.EVENT_READ, client)
        client.send()
    took: list[float] = []
    began, cpu = time.perf_counter(), time.process_time()
    while (now := time.perf_counter()) - began < seconds:
        for key, _ in selector.select(1.0):
            if key.data.receive():
                took.append(time.perf_counter() - key.data.began)
                key.data.send()
    return {
        "rps": len(took) / (now - began),
        "p50": percentile(took, 0.5) * 1000,
        "p99": percentile(took, 0.99) * 1000,
        "client_cpu": (time.process_time() - cpu) / (now - began),
    }


if __name__ == "__main__":
    port, path, clients, seconds = sys.argv[1:]
    print(json.dumps(measure(int(port), path, sys.stdin.read().strip(), int(clients), float(seconds))))
