"""A receiver of Apprise's `json://` messages, over a real socket.

In a test::

    with WebhookTarget() as target:       # 127.0.0.1, a free port
        target.url("token")               # the address of Apprise, with a secret in it
        target.statuses = [500, 200]      # what it answers, in turn; 200 when there are no more
        target.received                   # title and message of each that came whole, in order
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class WebhookTarget(AbstractContextManager["WebhookTarget"]):
    """Takes messages, and answers as it is told; `before_answer` is called once a message came whole."""

    def __init__(self) -> None:
        self.received: list[tuple[str, str]] = []
        self.statuses: list[int] = []
        self.location: str | None = None
        self.before_answer: Callable[[], Any] = lambda: None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.received.append((body["title"], body["message"]))
                outer.before_answer()
                self.send_response(outer.statuses.pop(0) if outer.statuses else 200)
                if outer.location is not None:
                    self.send_header("Location", outer.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> WebhookTarget:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, secret: str = "hidden", scheme: str = "json") -> str:
        return f"{scheme}://{secret}:{secret}@127.0.0.1:{self.port}/{secret}"
