"""The WebSocket paths: who may connect where, and the hand-over from the web server to the relay."""

from __future__ import annotations

import os
import resource
import socket
import ssl
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Flask, g, request
from flask.typing import ResponseReturnValue
from flask_sock import Sock
from simple_websocket import Server
from sqlalchemy.orm import Session
from wsproto.utilities import RemoteProtocolError

from api.log_throttle import ThrottledWarning
from api.security import rate_limits
from api.security.authentication import actor, authenticate
from api.security.cors import allowed
from api.security.own_hosts import own_origins
from api.sockets.peer import Audience
from api.sockets.places import SocketsFull
from api.sockets.relay import Relay, RelayOfProcess
from api.wire.envelope import failure
from api.wire.errors import RETRY_AFTER
from engine import audit
from engine.downloads.shown import listing
from engine.errors import Forbidden, ServiceUnavailable, Unauthorized, ValidationFailed
from engine.identity import socket_tickets
from engine.identity.credentials import identities
from engine.identity.sessions import Identity
from engine.media_requests import listing as requests
from engine.notifications import notifications
from engine.permissions import Permission
from engine.plex.sync import runs as sync
from engine.rate_limits.limits import counted_address
from engine.readers import DOWNLOAD, NOTIFICATION, REQUEST, SYNC, Topic, readable
from engine.runtime import Runtime

SOCKETS_PER_PROCESS = 5000
SPARE_FILES = 200  # descriptors that are left for requests, databases and files

_IN_SNAPSHOTS = frozenset({DOWNLOAD.name, SYNC.name, REQUEST.name, NOTIFICATION.name})

_full = ThrottledWarning("sockets.full")


@dataclass(frozen=True, kw_only=True)
class Namespace:
    """What events one path carries, to those who may read them (`engine.readers`).

    Attributes:
        permission: needed to connect; None for anybody.
    """

    topics: Collection[Topic]
    permission: Permission | None


NAMESPACES = {
    "/ws": Namespace(topics={"public"}, permission=None),
    "/ws/authenticated": Namespace(
        topics={"media", "account", "system", "public"}, permission=Permission.PROFILE_READ
    ),
    "/ws/media": Namespace(topics={"media"}, permission=Permission.MEDIA_READ),
    "/ws/system": Namespace(topics={"system", "public"}, permission=Permission.INTEGRATIONS_VIEW),
    "/ws/admin": Namespace(
        topics={"media", "account", "system", "admin", "public"},
        permission=Permission.OPERATIONS_VIEW,
    ),
}


class _NoThread:
    """In place of the thread that simple-websocket would start for each socket: the relay's loop reads them all."""

    name = ""

    def __init__(self, target: Callable[[], None]) -> None:
        pass

    def start(self) -> None:
        pass


def register(app: Flask, runtime: Runtime) -> None:
    """Add the WebSocket paths.

    Args:
        app: without threads or connections of its own: the relay starts with a process's first socket.
        runtime: for Redis and the database.
    """
    relay_of_process = RelayOfProcess(lambda: Relay(runtime, snapshot, rights_now))
    app.config["SOCK_SERVER_OPTIONS"] = {"thread_class": _NoThread}
    blueprint = Blueprint("sockets", __name__)
    sock = Sock()

    @blueprint.before_request
    def admit() -> None:
        audience = _audience(NAMESPACES[request.path], runtime)
        _prepare(request.environ)
        settings, known = runtime.settings, audience.user_id is not None
        share = settings.socket_user_limit if known else settings.socket_address_limit
        places = relay_of_process.get().places
        places.take(audience.place, known=known, share=share, capacity=_make_room())
        g.audience, g.places = audience, places

    @blueprint.teardown_request
    def leave(_: BaseException | None) -> None:
        places = g.pop("places", None)
        if places is not None:  # the handshake failed after all
            places.release(g.audience.place)

    @blueprint.errorhandler(SocketsFull)
    def full(error: SocketsFull) -> ResponseReturnValue:
        _full.note(path=request.path)
        return failure(error.code, error.message, error.status, headers=RETRY_AFTER)

    @blueprint.errorhandler(RemoteProtocolError)
    def refuse(error: RemoteProtocolError) -> ResponseReturnValue:
        return app.handle_user_exception(
            ValidationFailed("The WebSocket handshake is malformed.", handshake=str(error))
        )

    def serve(ws: Server) -> None:
        relay_of_process.get().admit(_take_over(ws), g.audience, _read_ahead(request.environ))
        del g.places  # it is the relay's now

    for path in NAMESPACES:
        sock.route(path, bp=blueprint, endpoint=path.strip("/").replace("/", "_"))(serve)
    app.register_blueprint(blueprint)


def snapshot(db: Session, audience: Audience) -> Mapping[str, Any]:
    """The state that a client gets on connecting, before it gets changes."""
    found: dict[str, Any] = {}
    if DOWNLOAD.name in audience.shown:
        everybodys = DOWNLOAD.name in audience.hears.others
        found["downloads"] = listing.snapshot(db, None if everybodys else audience.user_id)
    if SYNC.name in audience.shown:
        found["syncs"] = sync.snapshot(db)
    if REQUEST.name in audience.shown:
        found["requests"] = requests.snapshot(
            db, None if REQUEST.name in audience.hears.others else audience.user_id
        )
    if NOTIFICATION.name in audience.shown and audience.user_id is not None:
        found["notifications"] = {"unread": notifications.unread_count(db, audience.user_id)}
    return found


def rights_now(db: Session, credential_ids: Collection[str]) -> Mapping[str, tuple[str, frozenset[str]]]:
    """Role and permissions behind each of the given sessions and API keys that still holds."""
    found = identities(db, credential_ids)
    return {credential: _rights(identity) for credential, identity in found.items()}


def _rights(identity: Identity) -> tuple[str, frozenset[str]]:
    return identity.role, frozenset(identity.permissions)


def _audience(namespace: Namespace, runtime: Runtime) -> Audience:
    if namespace.permission is None:
        rate_limits.charge(None, "tier")
        place = f"address:{counted_address(request.remote_addr)}"
        return Audience(None, None, None, readable(namespace.topics, ()), place=place)
    identity, by_cookie = _counted(runtime)
    try:
        if by_cookie:
            _check_origin(runtime.settings.frontend_url)
        if namespace.permission not in identity.permissions:
            raise Forbidden("You may not listen here.", {"permission": namespace.permission})
    except Forbidden:
        _note_denial(runtime, identity, namespace.permission)
        raise
    hears = readable(namespace.topics, identity.permissions)
    return Audience(
        identity.user_id,
        identity.via,
        _rights(identity),
        hears,
        shown=hears.own & _IN_SNAPSHOTS,
        place=f"user:{identity.user_id}",
    )


def _counted(runtime: Runtime) -> tuple[Identity, bool]:
    """Authenticate like `_proven`, and count the handshake against the rate limit of the user, else of the address."""
    try:
        identity, by_cookie = _proven(runtime)
    except Unauthorized:
        rate_limits.charge(None, "tier")
        raise
    rate_limits.charge(identity, "tier")
    return identity, by_cookie


def _proven(runtime: Runtime) -> tuple[Identity, bool]:
    """Who connects, and whether by cookie. Where there is a ticket it decides alone, else it is as with any request."""
    ticket = request.args.get("ticket")
    if ticket is not None:
        with runtime.unit_of_work() as db:  # committed at once: a ticket is used up by whatever comes next
            owner = socket_tickets.redeem(db, ticket)
        if owner is None:
            raise Unauthorized("This ticket is not valid: ask for another one.")
        return owner, False
    with runtime.unit_of_work() as db:
        identity, credential = authenticate(db, request)
    return identity, credential.by_cookie


def _note_denial(runtime: Runtime, identity: Identity, permission: Permission) -> None:
    with runtime.unit_of_work() as db:
        audit.record(
            db,
            "access.denied",
            actor(request, identity),
            outcome="denied",
            code=Forbidden.code,
            method=request.method,
            path=request.path,
            permission=permission.value,
        )


def _check_origin(origins: Collection[str]) -> None:
    """A cookie alone proves nothing: browsers send it with handshakes of other sites too (RFC 6455, 10.2)."""
    if not allowed(request.headers.get("Origin"), (*own_origins(request), *origins)):
        raise Forbidden("This origin may not open sockets with your cookie.")


def _make_room() -> int:
    """How many sockets this process may hold; raises the soft limit of open files as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = SOCKETS_PER_PROCESS + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return (
        SOCKETS_PER_PROCESS
        if soft == resource.RLIM_INFINITY
        else min(SOCKETS_PER_PROCESS, soft - SPARE_FILES)
    )


def _prepare(environ: dict[str, Any]) -> None:
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if not isinstance(connection, socket.socket) or isinstance(connection, ssl.SSLSocket):
        raise ServiceUnavailable(
            "This server can't open WebSockets: it needs gunicorn, with TLS ended by a proxy."
        )
    # Not negotiated: compressed frames differ from client to client, ours are built once for all of them; and there are
    # no subprotocols, whose names may be any bytes.
    environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
    environ.pop("HTTP_SEC_WEBSOCKET_PROTOCOL", None)


def _take_over(ws: Server) -> socket.socket:
    """Take a connection from the web server, and leave it an unconnected socket in its place.

    gunicorn ends a connection with `shutdown()`, which would end a mere duplicate too. So its descriptor is
    pointed at another, unconnected socket: it may shut that down and close it, and counts right.
    """
    connection = socket.socket(fileno=os.dup(ws.sock.fileno()))
    with socket.socket() as unconnected:
        os.dup2(unconnected.fileno(), ws.sock.fileno(), inheritable=False)
    ws.connected = False  # flask-sock would send a close frame at the end of the view
    return connection


def _read_ahead(environ: dict[str, Any]) -> bytes:
    """The bytes that gunicorn has read beyond the handshake, of a client that did not wait for the answer."""
    unreader = getattr(getattr(environ["wsgi.input"], "reader", None), "unreader", None)
    return b"" if unreader is None else bytes(unreader.take_buffered())
