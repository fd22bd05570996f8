"""The audit log: an entry is written in the same transaction as the change it tells of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from engine.correlation import correlation_id
from engine.errors import MediaNestError
from engine.paging import Page
from models.audit import AuditEntry
from models.base import new_id
from models.user import User

Outcome = Literal["success", "failure", "denied"]
_Error = TypeVar("_Error", bound=MediaNestError)

_LONGEST = 300  # characters of a name or address


@dataclass(frozen=True)
class Actor:
    """The actor of an audited change, and where they act from.

    Attributes:
        user_id: None for nobody we know, and for the server itself.
        via: the session or API key that they act through.
        address: of the client, through trusted proxies only.
        proven: a recent step-up authentication; see `engine.identity.confirmation`. Never with an API key.
    """

    user_id: str | None = None
    via: str | None = None
    address: str | None = None
    proven: bool = False


SERVER = Actor()


@dataclass(frozen=True)
class Subject:
    """The object of an audited change; `name` outlives the object."""

    kind: str
    id: str | None
    name: str | None = None


@dataclass(frozen=True)
class Attempt:
    """A refused action; see `refusal`."""

    action: str
    subject: Subject | None
    outcome: Outcome
    details: Mapping[str, Any]


def refusal(
    error: _Error, action: str, subject: Subject | None = None, *, outcome: Outcome = "denied", **details: Any
) -> _Error:
    """Attach an audit entry to an error: the caller's transaction is rolled back, so the door writes it in another one.

    Args:
        error: to be raised.
        action: what was tried.
        subject: to whom or what.
        outcome: `denied` for who may not, `failure` for what is wrong.
        details: further facts, JSON; never a secret.
    """
    error.attempt = Attempt(action, subject, outcome, details)
    return error


def note_refusal(db: Session, error: MediaNestError, actor: Actor) -> None:
    """Write the entry that `refusal` attached to an error; to be committed although the request is refused."""
    attempt = error.attempt
    if isinstance(attempt, Attempt):
        record(db, attempt.action, actor, attempt.subject, outcome=attempt.outcome, **attempt.details)


def record(
    db: Session,
    action: str,
    actor: Actor,
    subject: Subject | None = None,
    *,
    outcome: Outcome = "success",
    **details: Any,
) -> None:
    """Add an entry to the unit of work of the change.

    Args:
        db: the unit of work of the change.
        action: what was done, such as `user.role_changed`.
        actor: who did it.
        subject: to whom or what.
        outcome: whether it worked.
        details: further facts, JSON; never a secret.
    """
    name = None if actor.user_id is None else db.scalar(select(User.name).where(User.id == actor.user_id))
    facts = {**details, **({"via": actor.via} if actor.via else {})}
    db.add(
        AuditEntry(
            id=new_id("aud"),
            action=action,
            outcome=outcome,
            actor_id=actor.user_id,
            actor_name=name,
            subject_kind=subject and subject.kind,
            subject_id=subject and subject.id,
            subject_name=subject and subject.name and subject.name[:_LONGEST],
            address=actor.address and actor.address[:_LONGEST],
            correlation_id=correlation_id(),
            details=facts or None,
        )
    )


def listing(
    db: Session,
    *,
    page: int,
    limit: int,
    filters: Mapping[str, str | None],
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page[AuditEntry]:
    """A page of the log, newest first.

    Args:
        db: for reading.
        page: from 1.
        limit: entries a page.
        filters: exact values by column: `action`, `outcome`, `actor_id`, `subject_id`, `subject_kind`, `address`.
            An action that ends in a dot stands for all that begin so.
        since: not older.
        until: older than this.
    """
    query = select(AuditEntry)
    for name, value in filters.items():
        if value is None:
            continue
        column = getattr(AuditEntry, name)
        query = query.where(
            column.startswith(value, autoescape=True) if value.endswith(".") else column == value
        )
    if since is not None:
        query = query.where(AuditEntry.created_at >= since)
    if until is not None:
        query = query.where(AuditEntry.created_at < until)
    total = db.scalar(select(func.count()).select_from(query.subquery())) or 0
    rows = db.scalars(query.order_by(AuditEntry.id.desc()).offset((page - 1) * limit).limit(limit)).all()
    return Page(rows, page, limit, total)


def forget_old(db: Session, age: timedelta) -> None:
    """Drop entries that are older than `age`."""
    db.execute(delete(AuditEntry).where(AuditEntry.created_at < func.clock_timestamp() - age))
