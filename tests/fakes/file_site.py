"""A site on a real socket that serves the bytes a test gives it, with or without saying how many they are."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.fakes.video_site import TYPES


class FileSite:
    """`files` maps paths to bytes and may change at any time; paths in `untold` come without a Content-Length."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.untold: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.site = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FileSite:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def page(self, path: str, video: str, *, head: str = "") -> str:
        """An HTML page around a video of this site; returns its URL."""
        html = f"<!DOCTYPE html><html><head><title>A film</title>{head}</head><body><video src='{video}'></video></body></html>"
        self.files[path] = html.encode()
        return self.url + path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        site: FileSite = self.server.site  # type: ignore[attr-defined]
        body = site.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        kind = TYPES.get(Path(self.path).suffix[1:] or "html", "application/octet-stream")
        for name, value in {"Content-Type": kind, **site.headers.get(self.path, {})}.items():
            self.send_header(name, value)
        if self.path in site.untold:
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Silent."""
