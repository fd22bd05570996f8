"""A server that accepts a download at once, and then tells of its progress without ever pausing."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import threading
from contextlib import suppress
from typing import Any, Self

ROW: dict[str, Any] = {
    "id": "dl-1", "status": "downloading", "title": "A film", "url": "https://x.example/1", "progress": 1.0,
    "downloadedBytes": 1, "totalBytes": 100, "speed": None, "eta": None, "attempt": 1, "error": None, "file": None,
}  # fmt: skip


class ChattyServer:
    """Serves `POST /api/v1/youtube/download` and `/ws/authenticated` on loopback."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.listeners = 0  # sockets that were opened
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, ValueError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096) or _gone()
            if head.startswith(b"POST"):
                body = json.dumps({"success": True, "data": ROW}).encode()
                connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                return
            key = head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
            proof = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
            connection.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + base64.b64encode(proof) + b"\r\n\r\n"
            )
            self.listeners += 1
            connection.sendall(_frame("snapshot", {"downloads": [ROW]}))
            steps = [ROW | {"downloadedBytes": number} for number in range(2, 22)]
            news = b"".join(_frame("download:progress", step) for step in steps)
            while True:
                connection.sendall(news)


def _gone() -> bytes:
    raise ValueError("the client has gone")


def _frame(event: str, data: dict[str, Any]) -> bytes:
    text = json.dumps({"event": event, "data": data, "id": "1", "at": "now"}).encode()
    return struct.pack("!BBH", 0x81, 126, len(text)) + text
