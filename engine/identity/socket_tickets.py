"""Socket tickets: one-use proofs for clients that can send neither cookie nor header with a handshake."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import delete, func
from sqlalchemy.orm import Session

from engine.identity.credentials import identities
from engine.identity.sessions import Identity
from models.socket_ticket import SocketTicket

LIFE = timedelta(seconds=30)
_BYTES = 32

_now = func.clock_timestamp


def issue(db: Session, identity: Identity) -> str:
    """Make a ticket with which one socket can be opened within 30 seconds, as whoever asks for it.

    It holds no longer than the session or the key that it is made with, and may no more.
    """
    text = secrets.token_urlsafe(_BYTES)
    db.add(
        SocketTicket(
            ticket_hash=_digest(text),
            login_id=identity.login_id,
            key_id=identity.key_id,
            expires_at=_now() + LIFE,
        )
    )
    return text


def redeem(db: Session, text: str) -> Identity | None:
    """Use a ticket up; returns its owner to exactly one of any number of attempts.

    To be committed whatever follows. None: it is used, expired or invented, or its session or key is over.
    """
    row = db.execute(
        delete(SocketTicket)
        .where(SocketTicket.ticket_hash == _digest(text))
        .returning(SocketTicket.login_id, SocketTicket.key_id, SocketTicket.expires_at > _now())
    ).first()
    if row is None or not row[2]:
        return None
    credential_id: str = row.login_id or row.key_id
    return identities(db, [credential_id]).get(credential_id)


def forget_old(db: Session) -> None:
    """Drop tickets that nobody used in time."""
    db.execute(delete(SocketTicket).where(SocketTicket.expires_at < _now()))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
