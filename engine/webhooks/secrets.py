"""The secrets by which senders of webhooks prove themselves: made by us, kept encrypted, for admins to copy out."""

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
BUILT_IN = (PLEX, OVERSEERR)  # they can't sign, and prove themselves in ways of their own
MOST_SENDERS = 100
PATH = "/api/v1/webhooks"

_PREFIX = "webhook:"


@dataclass(frozen=True)
class Sender:
    """Who may send webhooks.

    Attributes:
        url: where to, for Plex with the secret in it.
        since: when the secret was made.
    """

    name: str
    url: str
    secret: str = field(repr=False)
    since: datetime


def plex_url(db: Session, settings: Settings) -> str:
    """The address to enter in Plex; its secret is made by whoever asks first."""
    return _url(settings, PLEX, _made_once(db, settings, PLEX))


def overseerr_authorization(db: Session, settings: Settings) -> str:
    """The `Authorization` header to enter in Overseerr; made by whoever asks first."""
    return _made_once(db, settings, OVERSEERR)


def of(db: Session, settings: Settings, name: str) -> str | None:
    """The secret of a sender; None where there is none.

    Raises:
        ServiceUnavailable: it was written with another `SECRET_KEY`.
    """
    return secret_box.take(db, settings, _PREFIX + name)


def senders(db: Session, settings: Settings) -> Sequence[Sender]:
    """All senders that sign, by name."""
    names = db.scalars(select(Secret.name).where(Secret.name.startswith(_PREFIX)).order_by(Secret.name))
    found = [name.removeprefix(_PREFIX) for name in names]
    return [_sender(db, settings, name) for name in found if name not in BUILT_IN]


def create(db: Session, settings: Settings, name: str, actor: Actor) -> Sender:
    """Let a new sender in.

    Raises:
        ConfirmationRequired: the proof that a person asks is missing or too old.
        Conflict: the name is taken, or is one of ours; or there are too many.
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
    """Give a sender another secret; the one before opens nothing from then on.

    Raises:
        ConfirmationRequired: the proof that a person asks is missing or too old.
        NotFound: there is no such sender.
    """
    require_person(actor, "webhook_sender.rotated", _subject(name))
    if name not in BUILT_IN and of(db, settings, name) is None:
        raise NotFound("There is no such sender.")
    secret_box.put(db, settings, _PREFIX + name, _fresh())
    db.expire_all()
    audit.record(db, "webhook_sender.rotated", actor, _subject(name))
    return _sender(db, settings, name)


def delete(db: Session, settings: Settings, name: str, actor: Actor) -> Sender:
    """Let a sender in no more; returns him as he was.

    Raises:
        ConfirmationRequired: the proof that a person asks is missing or too old.
        NotFound: there is no such sender.
        Conflict: it is one of ours.
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


def _made_once(db: Session, settings: Settings, name: str) -> str:
    """A secret that stays once it is made, however many ask at once; also outside of a transaction."""
    found = of(db, settings, name)
    if found is None:
        _add(db, settings, name)
        found = of(db, settings, name)
    assert found is not None, "it was there or was made"
    return found


def _add(db: Session, settings: Settings, name: str) -> bool:
    query = insert(Secret).values(
        name=_PREFIX + name,
        value=secret_box.sealed(settings, _fresh()),
        updated_at=func.clock_timestamp(),
    )
    return db.execute(query.on_conflict_do_nothing().returning(Secret.name)).first() is not None


def _fresh() -> str:
    return secrets.token_urlsafe(32)
