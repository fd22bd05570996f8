"""The doubled server on a socket: HTTP/1.1 with keep-alive, the token, the ledger, and what may go wrong on the way."""

from __future__ import annotations

import gzip
import socket
import ssl
import struct
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.fakes.plex_server import faults as wrong
from tests.fakes.plex_server import shapes
from tests.fakes.plex_server.answers import Answers, Plain, Refused
from tests.fakes.plex_server.encoding import Answer
from tests.fakes.plex_server.faults import Fault, Faults
from tests.fakes.plex_server.items import Account, Item, Section
from tests.fakes.plex_server.library import Library
from tests.fakes.plex_server.notifications import Notifications, accept
from tests.fakes.plex_server.queries import Asked

_SCROBBLED = 0.9  # of the length


@dataclass
class Seen:
    """One request as the server saw it; `sent` counts the bytes of the body."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    at: float
    account: str | None = None
    status: int = 0
    sent: int = 0
    faults: tuple[str, ...] = ()


@dataclass
class Session:
    """Somebody's playback."""

    key: str
    item: Item
    account: Account
    state: str
    offset: int
    client: str
    scrobbled: bool = False

    def shape(self) -> dict[str, Any]:
        """As `/status/sessions` lists it."""
        said = shapes.item(self.item, self.account, guids=True, detail=True)
        said |= {"sessionKey": self.key, "viewOffset": self.offset, "User": shapes.person(self.account)}
        player: dict[str, Any] = {
            "address": "192.168.1.20",
            "device": "Chrome",
            "machineIdentifier": self.client,
            "platform": "Chrome",
        }
        player |= {
            "product": "Plex Web",
            "state": self.state,
            "title": "Chrome",
            "version": "4.150.0",
            "local": True,
            "relayed": False,
            "secure": True,
        }
        return {
            **said,
            "Player": player,
            "Session": {"id": f"session-{self.key}", "bandwidth": 8000, "location": "lan"},
        }


class PlexDouble:
    """The running server; a context manager. Two of them share nothing.

    `port=0` takes a free port and keeps it over `stop()` and `start()`; `tls` makes it speak HTTPS.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None) -> None:
        self.library = Library()
        self.faults = Faults()
        self.notifications = Notifications()
        self.requests: list[Seen] = []
        self.sessions: dict[str, Session] = {}
        self._session_keys = 0
        self.machine_id = uuid.uuid4().hex + "deadbeef"  # set it: it is another server then
        self.name, self.version, self.plex_pass = "Double", "1.41.3.9314-a0bfb8370", True
        self.scan_delay = 0.0
        self.picture_padding = 0  # bytes added to every picture
        # Draws a PNG: of which item, its background instead of its poster, width and height in pixels.
        self.picture_of: Callable[[Item, bool, int, int], bytes] | None = None
        self.started_at = int(time.time())
        self.library.heard = self.notifications.changed
        self.answers = Answers(self)
        self.host, self.port, self._tls = host, port, tls
        self._server: _Server | None = None
        self._state = threading.RLock()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`."""
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}"

    @property
    def token(self) -> str:
        """The owner's token."""
        return self.library.owner.token

    def start(self) -> PlexDouble:
        """Listen, on the same port as before."""
        with self._state:
            if self._server is None:
                self._server = _Server((self.host, self.port), _Handler)
                self._server.plex = self
                if self._tls:
                    self._server.socket = self._tls.wrap_socket(
                        self._server.socket, server_side=True, do_handshake_on_connect=False
                    )
                self.port = self._server.server_address[1]
                threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Refuse connections from now on and cut those that stand; the library stays as it is."""
        with self._state:
            server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            self.notifications.drop()
            self.faults.release()
            server.cut()

    def restart(self, pause: float = 0.0) -> None:
        """Away for `pause` seconds, then back on the same port."""
        self.stop()
        time.sleep(pause)
        self.start()

    def __enter__(self) -> PlexDouble:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- the ledger ----------------------------------------------------------------------------------------------------

    def asked(self, path: str) -> list[Seen]:
        """The requests so far whose path begins so."""
        return [seen for seen in list(self.requests) if seen.path.startswith(path)]

    def counts(self) -> Counter[str]:
        """How often each path was asked for."""
        return Counter(seen.path for seen in list(self.requests))

    def forget(self) -> None:
        """An empty ledger."""
        self.requests.clear()

    # -- what happens --------------------------------------------------------------------------------------------------

    def scan(self, section: Section | int | str, folder: str | None = None) -> None:
        """A scan as `/refresh` starts it: what was prepared for the folder is added after `scan_delay` seconds."""
        threading.Thread(target=self._scan, args=(self.library.section(section), folder), daemon=True).start()

    def _scan(self, section: Section, folder: str | None) -> None:
        section.refreshing = True
        number = self.notifications.activity("started", section)
        time.sleep(self.scan_delay)
        self.notifications.progress(f"Scanning {folder or section.title}")
        self.notifications.activity("updated", section, number, 50, folder or "")
        self.library.found(section, folder)
        section.refreshing = False
        self.notifications.activity("ended", section, number, 100)
        self.notifications.scan_complete(section)

    def play(
        self,
        item: Item | int | str,
        account: Account | int = 1,
        state: str = "playing",
        offset: int = 0,
        client: str = "client",
    ) -> Session:
        """What a player tells: `playing`, `paused`, `stopped` at an offset in milliseconds; past 90 % it counts as seen."""
        with self.library.lock:
            item = self.library.item(item)
            account = self.library.accounts[account] if isinstance(account, int) else account
            known = self.sessions.pop(client, None)
            if known is None or known.item is not item:
                self._session_keys += 1
                known = Session(str(self._session_keys), item, account, state, offset, client)
            session = replace(known, state=state, offset=offset)
            length = item.versions[0].duration if item.versions else None
            if not length or offset <= _SCROBBLED * length:
                self.library.watch(item, account, offset=offset)
            elif not session.scrobbled:
                session.scrobbled = True
                self.library.scrobble(item, account)
            if state != "stopped":
                self.sessions[client] = session
        self.notifications.playing(item, session.key, client, state, offset)
        return session


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64
    plex: PlexDouble

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        """Cut every connection that stands."""
        with self._guard:
            for request in self._open:
                with suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """The ledger is the log."""

    def _serve(self) -> None:
        plex, parts = self.server.plex, urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        if length:
            self.rfile.read(length)
        asked = Asked.of(
            unquote(parts.path), parts.query, {name.lower(): value for name, value in self.headers.items()}
        )
        seen = Seen(self.command, asked.path, dict(asked.pairs), dict(asked.headers), time.time())
        plex.requests.append(seen)
        hit = plex.faults.meet(asked.path, seen.query)
        seen.faults = tuple(hit)
        try:
            if "slow" in hit:
                time.sleep(float(hit["slow"].said.get("seconds", 0.2)))
            if "call" in hit:
                hit["call"].said["run"](seen)
            if "hang" in hit:
                hit["hang"].cleared.wait()
            self._reply(plex, asked, seen, hit)
            if "vanish" in hit:
                self._vanish(plex, asked, int(hit["vanish"].said.get("count", 1)))
        except OSError:  # the client, or the server itself, went away
            self.close_connection = True

    def _reply(self, plex: PlexDouble, asked: Asked, seen: Seen, hit: dict[str, Fault]) -> None:
        account = plex.library.account_of(asked.either("X-Plex-Token"))
        seen.account = account.name if account else None
        if "status" in hit:
            code = int(hit["status"].said.get("code", 500))
            return self._page(code, seen, str(hit["status"].said.get("body") or wrong.page(code)))
        if "html_200" in hit:
            return self._page(200, seen, wrong.page(500))
        if asked.path == "/identity":
            identity = plex.answers.identity()
            return self._send(identity, identity.encoded(json=asked.json), asked, seen, hit)
        if account is None:
            return self._page(401, seen)
        if asked.path == "/:/websockets/notifications":
            return self._socket(plex, account, seen)
        try:
            with plex.library.lock:
                made = plex.answers.answer(self.command, asked, account, hit)
                body = made.body if isinstance(made, Plain) else made.encoded(json=asked.json)
        except Refused as refused:
            return self._page(refused.status, seen)
        return self._send(made, body, asked, seen, hit)

    def _send(
        self, made: Answer | Plain, body: bytes, asked: Asked, seen: Seen, hit: dict[str, Fault]
    ) -> None:
        headers = {"X-Plex-Protocol": "1.0", "Cache-Control": "no-cache"}
        if isinstance(made, Plain):
            headers["Content-Type"] = made.type
        else:
            headers["Content-Type"] = "application/json" if asked.json else "text/xml;charset=utf-8"
            if made.start is not None:
                headers["X-Plex-Container-Start"] = str(made.start)
            if made.total is not None:
                headers["X-Plex-Container-Total-Size"] = str(made.total)
        self._write(200, headers, body, seen, hit)

    def _page(self, code: int, seen: Seen, body: str | None = None) -> None:
        headers = {"Content-Type": "text/html", "X-Plex-Protocol": "1.0"}
        self._write(code, headers, (body or wrong.page(code)).encode(), seen, {})

    def _write(
        self, code: int, headers: dict[str, str], body: bytes, seen: Seen, hit: dict[str, Fault]
    ) -> None:
        seen.status = code
        if "invalid_json" in hit:
            body = body[: len(body) // 2] + b'"}]' + body[len(body) // 2 :]
        if "wrong_type" in hit:
            headers["Content-Type"] = str(hit["wrong_type"].said.get("type", "text/plain"))
        if "gzip" in hit:
            body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        broken = next((kind for kind in ("half_body", "reset", "die") if kind in hit), None)
        if broken:
            self._break(broken, body, seen)
            return
        self.wfile.write(body)
        self.wfile.flush()
        seen.sent = len(body)

    def _break(self, kind: str, body: bytes, seen: Seen) -> None:
        """Half of the body, then the end."""
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        seen.sent = len(body) // 2
        self.close_connection = True
        if kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif kind == "die":
            self.server.plex.stop()

    def _vanish(self, plex: PlexDouble, asked: Asked, count: int) -> None:
        steps = asked.path.strip("/").split("/")
        with plex.library.lock:
            section = plex.library.section(steps[2])
            kind = plex.answers.kind(section, asked)
            for one in section.of(kind)[:count]:
                plex.library.remove(one)

    def _socket(self, plex: PlexDouble, account: Account, seen: Seen) -> None:
        """Switch protocols and stay until the client goes away."""
        key = self.headers.get("Sec-WebSocket-Key")
        if not key:
            return self._page(400, seen)
        seen.status = 101
        self.send_response(101)
        for name, value in {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": accept(key),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        plex.notifications.listen(self.connection, account, lambda: self.rfile.read1(65536))
        return None
