"""Whether a webhook comes from whom it names: each sender proves it in the way it is able to.

Plex can neither sign nor set a header: a long secret stands in its URL. Overseerr sends an `Authorization` header as an
admin typed it. All others sign `<timestamp>.<body>`. Every comparison takes the same time wherever the texts differ.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from config.settings import Settings
from engine.errors import Unauthorized
from engine.plex.server import connection
from engine.webhooks import secrets

OLDEST_SECONDS = 300  # of a signature; also into the future, for clocks that differ
_SCHEME = "sha256="


class Unproven(Unauthorized):
    """A webhook without proof; `reason` is for the log, not for the sender."""

    def __init__(self, reason: str) -> None:
        super().__init__("This webhook does not prove who sent it.")
        self.reason = reason


def plex(db: Session, settings: Settings, secret: str) -> None:
    """The secret in the URL of Plex.

    Raises:
        Unproven: it is another.
    """
    _check(secrets.of(db, settings, secrets.PLEX), secret)


def plex_server(db: Session, settings: Settings, payload: Mapping[str, Any]) -> None:
    """The server that a message of Plex names, where it names one and we know ours.

    Raises:
        Unproven: it is another server.
    """
    server = payload.get("Server")
    named = server.get("uuid") if isinstance(server, Mapping) else None
    if not named:
        return
    ours = connection.server_id(db, settings)
    if ours is not None and not _same(ours, str(named)):
        raise Unproven("another server")


def overseerr(db: Session, settings: Settings, authorization: str | None) -> None:
    """The header that an admin has typed into Overseerr.

    Raises:
        Unproven: it is missing or another.
    """
    _check(secrets.of(db, settings, secrets.OVERSEERR), authorization)


def signature(
    db: Session, settings: Settings, name: str, body: bytes, *, timestamp: str | None, signed: str | None
) -> None:
    """The signature of a sender: HMAC-SHA-256 over the timestamp, a dot and the body as it came.

    Args:
        db: for reading.
        settings: with the key of the stored secrets.
        name: of the sender.
        body: every byte of it.
        timestamp: `X-Timestamp`, in Unix seconds.
        signed: `X-Hub-Signature-256`, `sha256=` and 64 hexadecimal digits.

    Raises:
        Unproven: the sender is unknown, the time is not within five minutes, or the signature is another.
    """
    secret = secrets.of(db, settings, name) if name not in secrets.BUILT_IN else None
    if secret is None:
        raise Unproven("no such sender")
    if timestamp is None or signed is None:
        raise Unproven("not signed")
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 12):
        raise Unproven("no time")
    if abs(time.time() - int(timestamp)) > OLDEST_SECONDS:
        raise Unproven("too old or too new")
    _check(sign(secret, timestamp, body), signed)


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """What `X-Hub-Signature-256` is to be."""
    message = timestamp.encode() + b"." + body
    return _SCHEME + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def _check(secret: str | None, given: str | None) -> None:
    if secret is None:
        raise Unproven("no secret was made yet")
    if given is None:
        raise Unproven("no secret in it")
    if not _same(secret, given):
        raise Unproven("another secret")


def _same(secret: str, given: str) -> bool:
    return hmac.compare_digest(secret.encode(), given.encode("utf-8", "surrogatepass"))
