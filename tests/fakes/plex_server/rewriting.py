"""Stands in front of a doubled Plex server and changes what it answers: bytes, statuses, single items."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fakes.plex_server.server import PlexDouble

Query = dict[str, str]
Change = Callable[[Query, int, bytes], tuple[int, bytes]]


class Rewriter:
    """A server at `url` that answers as `plex` does, but for what was changed; `token` and `machine_id` are its own."""

    def __init__(self, plex: PlexDouble) -> None:
        self.plex = plex
        self.changes: dict[str, Change] = {}  # by path, which is meant as a whole
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, kind, body = outer._answer(self.path, dict(self.headers))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing to write down."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @property
    def token(self) -> str:
        return self.plex.token

    @property
    def machine_id(self) -> str:
        return self.plex.machine_id

    def answers(self, path: str, status: int, body: bytes | str = b"<html>500</html>") -> None:
        """That path is answered so from now on."""
        said = body.encode() if isinstance(body, str) else body
        self.changes[path] = lambda query, _status, _body: (status, said)

    def replaces(self, path: str, old: bytes, new: bytes) -> None:
        """In answers to that path some bytes are others from now on."""
        self.changes[path] = lambda query, status, body: (status, body.replace(old, new))

    def edits(self, path: str, edit: Callable[[dict[str, Any]], object]) -> None:
        """The container of answers to that path is edited from now on."""

        def change(query: Query, status: int, body: bytes) -> tuple[int, bytes]:
            document = json.loads(body)
            edit(document["MediaContainer"])
            return status, json.dumps(document).encode()

        self.changes[path] = change

    def _answer(self, target: str, headers: dict[str, str]) -> tuple[int, str, bytes]:
        parts = urlsplit(target)
        path = unquote(parts.path)
        self.asked.append(path)
        connection = http.client.HTTPConnection(self.plex.host, self.plex.port, timeout=30)
        try:
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            status, kind, body = answer.status, answer.getheader("Content-Type") or "", answer.read()
        finally:
            connection.close()
        if path in self.changes:
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            status, body = self.changes[path](query, status, body)
        return status, kind, body


@contextmanager
def rewriting(plex: PlexDouble) -> Iterator[Rewriter]:
    """One in front of a running double."""
    made = Rewriter(plex)
    threading.Thread(target=made.server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
