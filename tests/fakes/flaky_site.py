"""A site that closes each connection after a part of a film; where `Range` is asked for, it goes on there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from fakes import media


@dataclass
class FlakySite:
    """What it serves, and from which bytes on it was asked for; from `silent_from` on it sends nothing."""

    url: str
    body: bytes
    asked: list[int] = field(default_factory=list)
    silent_from: int | None = None


@contextmanager
def flaky_site(size: int, part: int) -> Iterator[FlakySite]:
    """Serve a film of `size` bytes, at most `part` of them a connection."""
    body = media.named_mp4("flaky", size).read_bytes()
    site = FlakySite("", body)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._head(200, 0)

        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            first = int(asked.removeprefix("bytes=").partition("-")[0] or 0) if asked else 0
            site.asked.append(first)
            self._head(206 if asked else 200, first)
            last = min(first + part, len(body) if site.silent_from is None else site.silent_from)
            self.wfile.write(body[first:last])

        def _head(self, status: int, first: int) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "video/mp4")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(body) - first))
            if status == 206:
                self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        site.url = f"http://127.0.0.1:{server.server_address[1]}/flaky.mp4"
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
