"""Secrets that authenticate webhook senders: generated here, stored encrypted, copied out by admins."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from config.settings import Settings
from engine import audit
from engine.audit import Actor, Subject
from engine.errors import Conflict, NotFound
from engine.identity.confirmation import require_person
from engine.secrets import secret_box
from models.secret import Secret

PLEX, OVERSEERR = "plex", "overseerr"
BUILT_IN = (PLEX, OVERSEERR)  # they can't sign: see `engine.webhooks.verify`
MOST_SENDERS = 100
PATH = "/api/v1/webhooks"

_PREFIX = "webhook:"


@dataclass(frozen=True)
class Sender:
    """A sender of webhooks.

    Attributes:
        url: the address to send to; for Plex it contains the secret.
        since: when the secret was generated.
    """

    name: str
    url: str
    secret: str = field(repr=False)
    since: datetime


def plex_url(db: Session, settings: Settings) -> str:
    """The webhook URL to enter in Plex; the first call generates its secret."""
    return _url(settings, PLEX, _get_or_create(db, settings, PLEX))


def overseerr_authorization(db: Session, settings: Settings) -> str:
    """The `Authorization` header to enter in Overseerr; the first call generates it."""
    return _get_or_create(db, settings, OVERSEERR)


def of(db: Session, settings: Settings, name: str) -> str | None:
    """The secret of a sender; None if there is no such sender.

    Raises:
        ServiceUnavailable: it was encrypted with another `SECRET_KEY`.
    """
    return secret_box.take(db, settings, _PREFIX + name)


def senders(db: Session, settings: Settings) -> Sequence[Sender]:
    """All senders that sign, by name."""
    names = db.scalars(select(Secret.name).where(Secret.name.startswith(_PREFIX)).order_by(Secret.name))
    found = [name.removeprefix(_PREFIX) for name in names]
    return [_sender(db, settings, name) for name in found if name not in BUILT_IN]


def create(db: Session, settings: Settings, name: str, actor: Actor) -> Sender:
    """Add a sender that signs its webhooks, and generate its secret.

    Raises:
        ConfirmationRequired: there is no recent confirmation (`engine.identity.confirmation`).
        Conflict: the name is taken or built in, or there are `MOST_SENDERS` already.
    """
    require_person(actor, "webhook_sender.created", _subject(name))
    if name in BUILT_IN:
        raise Conflict(f"The name {name} is ours: its webhooks have a way of their own.")
    if len(senders(db, settings)) >= MOST_SENDERS:
        raise Conflict(f"There are {MOST_SENDERS} senders already: delete one first.")
    if not _add(db, settings, name):
        raise Conflict("There is a sender with this name already.")
    audit.record(db, "webhook_sender.created", actor, _subject(name))
    return _sender(db, settings, name)


def rotate(db: Session, settings: Settings, name: str, actor: Actor) -> Sender:
    """Replace a sender's secret; the old one is refused from then on.

    Raises:
        ConfirmationRequired: there is no recent confirmation (`engine.identity.confirmation`).
        NotFound: there is no such sender.
    """
    require_person(actor, "webhook_sender.rotated", _subject(name))
    if name not in BUILT_IN and of(db, settings, name) is None:
        raise NotFound("There is no such sender.")
    secret_box.put(db, settings, _PREFIX + name, _new_secret())
    db.expire_all()
    audit.record(db, "webhook_sender.rotated", actor, _subject(name))
    return _sender(db, settings, name)


def delete(db: Session, settings: Settings, name: str, actor: Actor) -> Sender:
    """Delete a sender; returns it as it was.

    Raises:
        ConfirmationRequired: there is no recent confirmation (`engine.identity.confirmation`).
        NotFound: there is no such sender.
        Conflict: it is a built-in one.
    """
    require_person(actor, "webhook_sender.deleted", _subject(name))
    if name in BUILT_IN:
        raise Conflict(f"{name} is ours: give it another secret instead.")
    if of(db, settings, name) is None:
        raise NotFound("There is no such sender.")
    sender = _sender(db, settings, name)
    secret_box.drop(db, _PREFIX + name)
    audit.record(db, "webhook_sender.deleted", actor, _subject(name))
    return sender


def _subject(name: str) -> Subject:
    return Subject("webhook_sender", name, name)


def _sender(db: Session, settings: Settings, name: str) -> Sender:
    row = db.get_one(Secret, _PREFIX + name)
    secret = secret_box.opened(settings, row.name, row.value)
    return Sender(name, _url(settings, name, secret), secret, row.updated_at)


def _url(settings: Settings, name: str, secret: str) -> str:
    path = f"{PATH}/{name}/{secret}" if name == PLEX else f"{PATH}/{name}"
    return settings.api_base + path


def _get_or_create(db: Session, settings: Settings, name: str) -> str:
    """The stored secret, or a new one; simultaneous callers get the same (ON CONFLICT DO NOTHING, then read)."""
    found = of(db, settings, name)
    if found is None:
        _add(db, settings, name)
        found = of(db, settings, name)
    assert found is not None, "it was there or was made"
    return found


def _add(db: Session, settings: Settings, name: str) -> bool:
    query = insert(Secret).values(
        name=_PREFIX + name,
        value=secret_box.sealed(settings, _new_secret()),
        updated_at=func.clock_timestamp(),
    )
    return db.execute(query.on_conflict_do_nothing().returning(Secret.name)).first() is not None


def _new_secret() -> str:
    return secrets.token_urlsafe(32)
