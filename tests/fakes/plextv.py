"""A small plex.tv and a Plex server's door, over real sockets, in the shapes that the real ones were recorded with."""

from __future__ import annotations

import json
import secrets
import socket
import struct
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

REQUIRED = (
    "X-Plex-Client-Identifier",
    "X-Plex-Product",
    "X-Plex-Version",
    "X-Plex-Platform",
    "X-Plex-Device-Name",
)
OUTAGES = (
    "503",
    "500",
    "429",
    "html",
    "reset",
    "hang",
    "trickle",
    "redirect",
    "cut",
    "flood",
    "empty",
    "odd",
)
_ids = count(int(time.time() * 1000) % 1_000_000_000)
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


@dataclass
class FakeAccount:
    """Somebody at plex.tv; `servers` are the machine identifiers they may use, `owned` those that are theirs."""

    username: str
    id: int = field(default_factory=lambda: next(_ids))
    email: str | None = None
    title: str | None = None
    servers: set[str] = field(default_factory=set)
    owned: set[str] = field(default_factory=set)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(15))
    token_status: int = 200  # 401 or 498: the token holds no longer
    extra: dict[str, Any] = field(default_factory=dict)
    listed: list[dict[str, Any]] = field(default_factory=list)  # further resources, made by `resource`

    def row(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "uuid": f"{self.id:016x}",
            "username": self.username,
            "title": self.title or self.username,
            "email": self.email,
            "friendlyName": "",
            "thumb": f"https://plex.tv/users/{self.id:016x}/avatar?c=1630875354",
            "authToken": self.token,
            "subscription": {"active": False, "subscribedAt": None, "status": "Inactive"},
            "restricted": False,
            "home": False,
            **self.extra,
        }

    def resources(self) -> list[dict[str, Any]]:
        player = _resource("Phone", "phone-1", "client,player,pubsub-player", owned=True, token=None)
        servers = sorted(self.servers | self.owned)
        return (
            [player]
            + [
                _resource(
                    f"Box {one}", one, "server", owned=one in self.owned, token=secrets.token_urlsafe(15)
                )
                for one in servers
            ]
            + self.listed
        )


@dataclass
class FakePin:
    """A PIN; `token` is set once somebody claimed it."""

    id: int
    code: str
    client: str
    strong: bool
    life: int
    expires_at: datetime
    token: str | None = None
    expired: bool = False

    def row(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "code": self.code,
            "product": "0",
            "trusted": False,
            "qr": f"https://plex.tv/api/v2/pins/qr/{self.code}",
            "clientIdentifier": self.client,
            "location": {"code": "GB", "country": "United Kingdom", "city": "London", "postal_code": 802},
            "expiresIn": self.life,
            "createdAt": _stamp(self.expires_at - timedelta(seconds=self.life)),
            "expiresAt": _stamp(self.expires_at),
            "authToken": self.token,
            "newRegistration": None if self.token is None else False,
        }


@dataclass
class Seen:
    """A request that came in."""

    method: str
    path: str
    headers: dict[str, str]
    query: dict[str, str]
    at: float = field(default_factory=time.monotonic)


class Service(ABC):
    """A server on a socket of its own."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.outage: str | None = None
        self.outage_paths: tuple[str, ...] = ("/",)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.service = self
        self._server.over = threading.Event()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        run = {"poll_interval": 0.05}
        threading.Thread(target=self._server.serve_forever, kwargs=run, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.over.set()
        self._server.shutdown()
        self._server.server_close()

    def fail(self, how: str | None, *paths: str) -> None:
        """Answer so from now on, on paths that begin like these; None: be well again."""
        self.outage, self.outage_paths = how, paths or ("/",)

    @abstractmethod
    def answer(self, seen: Seen) -> tuple[int, Any] | tuple[int, Any, dict[str, str]]:
        """The status and the body, as JSON, of a request; and further headers."""


class FakePlexTv(Service):
    """plex.tv, with what tests do to it."""

    def __init__(self) -> None:
        super().__init__()
        self.accounts: list[FakeAccount] = []
        self.pins: dict[int, FakePin] = {}
        self.life = 900
        self.created = 201  # older descriptions say 200

    def account(self, username: str, **values: Any) -> FakeAccount:
        """Somebody new."""
        made = FakeAccount(username, **values)
        self.accounts.append(made)
        return made

    def claim(self, pin_id: str, account: FakeAccount) -> None:
        """Let somebody sign in with a PIN, as by typing its code."""
        self.pins[int(pin_id)].token = account.token

    def expire(self, pin_id: str) -> None:
        """Let the life of a PIN be over."""
        self.pins[int(pin_id)].expired = True

    def asked(self, path: str) -> list[Seen]:
        """The requests for paths that begin so."""
        return [seen for seen in self.seen if seen.path.startswith(path)]

    def answer(self, seen: Seen) -> tuple[int, Any]:
        for name in REQUIRED:
            if not seen.headers.get(name.lower()):
                return 400, error(1000, f"{name} is missing", 400)
        match seen.method, seen.path.strip("/").split("/"):
            case "POST", ["api", "v2", "pins"]:
                return self.created, self._make(seen).row()
            case "GET", ["api", "v2", "pins", number]:
                return self._look(number, seen)
            case "GET", ["api", "v2", "user"]:
                return self._of_account(seen, FakeAccount.row)
            case "GET", ["api", "v2", "resources"]:
                return self._of_account(seen, FakeAccount.resources)
        return 404, error(1, "Not Found", 404)

    def _make(self, seen: Seen) -> FakePin:
        strong = seen.query.get("strong") == "true"
        code = "".join(secrets.choice(_ALPHABET) for _ in range(25 if strong else 4))
        expires = datetime.now(UTC) + timedelta(seconds=self.life)
        client = seen.headers["x-plex-client-identifier"]
        pin = FakePin(next(_ids), code.lower() if strong else code, client, strong, self.life, expires)
        self.pins[pin.id] = pin
        return pin

    def _look(self, number: str, seen: Seen) -> tuple[int, Any]:
        pin = self.pins.get(int(number)) if number.isdecimal() else None
        client = seen.headers["x-plex-client-identifier"]
        if pin is None or pin.expired or pin.expires_at < datetime.now(UTC) or pin.client != client:
            return 404, {"errors": [{"code": 1020, "message": "Code not found or expired"}]}
        return 200, pin.row()

    def _of_account(self, seen: Seen, show: Any) -> tuple[int, Any]:
        token = seen.headers.get("x-plex-token")
        found = next((each for each in self.accounts if each.token == token), None)
        if found is None:
            return 401, error(1001, "User could not be authenticated", 401)
        if found.token_status != 200:
            return found.token_status, error(1001, "Token expired", found.token_status)
        return 200, show(found)


class FakePlexServer(Service):
    """A Plex Media Server, as far as it tells anyone who it is."""

    def __init__(self, identifier: str = "our-server") -> None:
        super().__init__()
        self.identifier = identifier
        self.claimed = True
        self.xml = False

    def answer(self, seen: Seen) -> tuple[int, Any]:
        if seen.path != "/identity":
            return 404, b"<html><body>404 Not Found</body></html>"
        if self.xml or seen.headers.get("accept") != "application/json":
            flag = int(self.claimed)
            head = b'<?xml version="1.0" encoding="UTF-8"?>\n'
            return 200, head + (
                f'<MediaContainer size="0" apiVersion="1.1.1" claimed="{flag}" '
                f'machineIdentifier="{self.identifier}" version="1.31.3.6868-28fc46b27"></MediaContainer>'
            ).encode()
        fields = {"size": 0, "claimed": self.claimed, "machineIdentifier": self.identifier}
        return 200, {"MediaContainer": {**fields, "version": "1.31.3.6868-28fc46b27"}}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    service: Service
    over: threading.Event

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away in the middle are normal here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Silent; `seen` is the log."""

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, parts.path, headers, dict(parse_qsl(parts.query)))
        service = self.server.service
        service.seen.append(seen)
        if service.outage is not None and parts.path.startswith(service.outage_paths):
            return self._fail(service.outage)
        status, body, *more = service.answer(seen)
        return self._send(status, body, **(more[0] if more else {}))

    def _send(self, status: int, body: Any, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        markup = raw.startswith(b"<")
        self.send_header("Content-Type", "text/html" if markup else "application/json; charset=utf-8")
        self.send_header("Content-Length", headers.pop("length", str(len(raw))))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def _fail(self, how: str) -> None:
        self.close_connection = True
        match how:
            case "html":
                self._send(200, b"<!DOCTYPE html><html><body>Down for maintenance</body></html>")
            case "empty":
                self._send(200, b"")
            case "odd":
                self._send(200, [None, {"id": "../x", "authToken": {"a": 1}}, 7])
            case "cut":
                self._send(200, b'{"id": 1', length="5000")
            case "flood":
                self._send(200, b"[" + b" " * 4_000_000 + b"]")
            case "redirect":
                self._send(302, b"", Location="http://127.0.0.1:9/elsewhere")
            case "reset":
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
            case "hang":
                self.server.over.wait(60)
            case "trickle":
                self.send_response(200)
                self.send_header("Content-Length", "5000")
                self.end_headers()
                while not self.server.over.wait(0.3):
                    self.wfile.write(b" ")
            case _:
                self._send(int(how), {"errors": [{"code": 0, "message": "trouble", "status": int(how)}]})


def resource(
    name: str, identifier: str, token: str, *uris: tuple[str, str], owned: bool = True
) -> dict[str, Any]:
    """A server at these addresses; each stands behind its kind: local, remote or relay."""
    found = _resource(name, identifier, "server", owned=owned, token=token)
    found["connections"] = [_connection(kind, uri) for kind, uri in uris]
    return found


def _connection(kind: str, uri: str) -> dict[str, Any]:
    parts = urlsplit(uri)
    where = {"protocol": parts.scheme, "address": parts.hostname, "port": parts.port, "uri": uri}
    return {**where, "local": kind == "local", "relay": kind == "relay", "IPv6": False}


def _resource(name: str, identifier: str, provides: str, *, owned: bool, token: str | None) -> dict[str, Any]:
    address = {"protocol": "https", "address": "172.18.0.3", "port": 32400, "local": True, "relay": False}
    return {
        "name": name,
        "product": "Plex Media Server",
        "productVersion": "1.25.5.5492-12f6b8c83",
        "platform": "Linux",
        "device": "Docker Container",
        "clientIdentifier": identifier,
        "provides": provides,
        "ownerId": None,
        "accessToken": token,
        "owned": owned,
        "home": False,
        "relay": True,
        "presence": True,
        "connections": [address | {"uri": "https://172-18-0-3.example.plex.direct:32400", "IPv6": False}],
    }


def error(code: int, message: str, status: int) -> dict[str, Any]:
    return {"errors": [{"code": code, "message": message, "status": status}]}


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
