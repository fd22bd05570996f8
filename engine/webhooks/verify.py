"""Authenticates webhooks, each sender by what it supports.

Plex can neither sign nor set a header: its URL contains a secret. Overseerr sends an `Authorization` header that an
admin entered. All others sign `<timestamp>.<body>` (HMAC). Secrets are compared in constant time.
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

OLDEST_SECONDS = 300  # a signature's age; as much into the future is accepted for clock skew
_SCHEME = "sha256="


class UnverifiedWebhook(Unauthorized):
    """A webhook that failed authentication; `reason` is for the log, not for the sender."""

    def __init__(self, reason: str) -> None:
        super().__init__("This webhook does not prove who sent it.")
        self.reason = reason


def plex(db: Session, settings: Settings, secret: str) -> None:
    """Check the secret in the URL of Plex's webhook.

    Raises:
        UnverifiedWebhook: it is wrong.
    """
    _check(secrets.of(db, settings, secrets.PLEX), secret)


def plex_server(db: Session, settings: Settings, payload: Mapping[str, Any]) -> None:
    """Check the server that a message of Plex names, if it names one and ours is known.

    Raises:
        UnverifiedWebhook: it is another server.
    """
    server = payload.get("Server")
    named = server.get("uuid") if isinstance(server, Mapping) else None
    if not named:
        return
    ours = connection.server_id(db, settings)
    if ours is not None and not _same(ours, str(named)):
        raise UnverifiedWebhook("another server")


def overseerr(db: Session, settings: Settings, authorization: str | None) -> None:
    """Check the `Authorization` header that an admin has entered in Overseerr.

    Raises:
        UnverifiedWebhook: it is missing or wrong.
    """
    _check(secrets.of(db, settings, secrets.OVERSEERR), authorization)


def signature(
    db: Session, settings: Settings, name: str, body: bytes, *, timestamp: str | None, signed: str | None
) -> None:
    """Check a sender's signature: HMAC-SHA-256 over the timestamp, a dot and the raw body.

    Args:
        db: for reading.
        settings: with the key of the stored secrets.
        name: of the sender.
        body: the raw bytes.
        timestamp: `X-Timestamp`, in Unix seconds.
        signed: `X-Hub-Signature-256`, `sha256=` and 64 hexadecimal digits.

    Raises:
        UnverifiedWebhook: the sender is unknown, the time is not within five minutes, or the signature is wrong.
    """
    secret = secrets.of(db, settings, name) if name not in secrets.BUILT_IN else None
    if secret is None:
        raise UnverifiedWebhook("no such sender")
    if timestamp is None or signed is None:
        raise UnverifiedWebhook("not signed")
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 12):
        raise UnverifiedWebhook("no time")
    if abs(time.time() - int(timestamp)) > OLDEST_SECONDS:
        raise UnverifiedWebhook("too old or too new")
    _check(sign(secret, timestamp, body), signed)


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The value of `X-Hub-Signature-256`."""
    message = timestamp.encode() + b"." + body
    return _SCHEME + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def _check(secret: str | None, given: str | None) -> None:
    if secret is None:
        raise UnverifiedWebhook("no secret was made yet")
    if given is None:
        raise UnverifiedWebhook("no secret in it")
    if not _same(secret, given):
        raise UnverifiedWebhook("another secret")


def _same(secret: str, given: str) -> bool:
    return hmac.compare_digest(secret.encode(), given.encode("utf-8", "surrogatepass"))
