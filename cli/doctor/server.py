"""What the doctor sees of the running server: its port, HTTP, a WebSocket there and back."""

from __future__ import annotations

import errno
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from urllib.parse import urlsplit

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from cli.doctor.finding import Finding, fail, ok, warn
from cli.doctor.machine import may_listen
from cli.supervision.readiness import local_address
from config.settings import Settings

SECONDS = 5.0


class CheckedServer:
    """The server at `address`, such as http://127.0.0.1:4000; without one, that of this machine."""

    def __init__(self, settings: Settings, address: str | None) -> None:
        self._settings = settings
        self._named = address is not None
        self._address = address or local_address(settings)
        self._serves = False

    def http(self) -> Iterator[Finding]:
        """GET /health, and who has the port otherwise."""
        try:
            status = self._health()
        except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
            yield self._silence(error)
            return
        self._serves = True
        took = f"{self._address} answers in {status * 1000:.0f} ms"
        yield ok("http", took)

    def websocket(self) -> Iterator[Finding]:
        """A ping and its pong."""
        if not self._serves:
            yield fail(
                "websocket", "not tried: nothing answers over HTTP", "bring the web process back first"
            )
            return
        url = "ws" + self._address.removeprefix("http") + "/ws"
        try:
            with connect(url, open_timeout=SECONDS, close_timeout=1, proxy=None) as socket:
                began = time.perf_counter()
                answered = socket.ping().wait(SECONDS)
                took = (time.perf_counter() - began) * 1000
        except (OSError, WebSocketException) as error:
            advice = (
                "let the proxy in between pass the headers Upgrade and Connection on (see docs/operations.md)"
            )
            yield fail("websocket", f"{url}: {error}", advice)
            return
        if answered:
            yield ok("websocket", f"there and back in {took:.0f} ms")
        else:
            yield fail("websocket", f"no answer within {SECONDS:.0f} s", "look at the log of the web process")

    def flower(self) -> Iterator[Finding]:
        """Who has Flower's port."""
        port, host = self._settings.flower_port, self._settings.flower_host
        if port == 0:
            yield ok("flower", "switched off (FLOWER_PORT is 0)")
        elif may_listen(host, port) is None:
            yield warn("flower", f"nothing listens on port {port}", "start it: medianest flower")
        elif self._is_flower():
            yield ok("flower", f"listens on port {port}, and lets nobody in but the web processes")
        else:
            advice = "stop what listens there, or set FLOWER_PORT to another"
            yield warn("flower", f"port {port} of {host} is taken by another program", advice)

    def _is_flower(self) -> bool:
        # Asked without a pass: what refuses with 403 is Flower as we start it, and none that is open.
        url = f"http://{self._settings.flower_host}:{self._settings.flower_port}/"
        try:
            _get(url)
        except urllib.error.HTTPError as error:
            return error.code == 403
        except (OSError, HTTPException):
            return False
        return False

    def _health(self) -> float:
        began = time.perf_counter()
        if json.loads(_get(f"{self._address}/health"))["status"] != "ok":
            raise ValueError("not MediaNest")
        return time.perf_counter() - began

    def _silence(self, error: Exception) -> Finding:
        if self._named:
            return fail("http", f"{self._address}: {_reason(error)}", "look at the web process and the proxy")
        parts = urlsplit(self._address)
        taken = may_listen(self._settings.listen_host, self._settings.port)
        if taken is None:
            return fail("http", f"nothing listens on port {parts.port}", "start it: medianest up")
        if taken.errno == errno.EADDRINUSE:
            advice = "stop what listens there, or set PORT to another"
            return fail("http", f"port {parts.port} is taken, and not by a MediaNest that answers", advice)
        return fail(
            "http", f"port {parts.port} can't be used: {taken.strerror}", "set PORT or HOST to another"
        )


def _get(url: str) -> bytes:
    # Without the proxies of the environment: the server itself is asked.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=SECONDS) as answer:
        body: bytes = answer.read()
    return body


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", error)) or type(error).__name__
