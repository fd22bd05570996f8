"""API keys: how programs act for a user, with some of their permissions."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, func, or_, select, update
from sqlalchemy.orm import Session

from engine import audit
from engine.audit import SERVER, Actor, Subject
from engine.errors import Conflict, Forbidden, NotFound, Unauthorized, ValidationFailed
from engine.identity.sessions import Identity
from engine.permissions import Permission, permissions_of
from models.api_key import ApiKey
from models.base import new_id
from models.user import User

MOST_KEYS = 50  # of a user
LONGEST = timedelta(days=10 * 365)
_PREFIX = "mn_"
_HINT_LENGTH = 8

_now = func.clock_timestamp
_key, _user = ApiKey.__table__.c, User.__table__.c
_IDENTITY = (
    select(
        _key.id,
        _key.user_id,
        _key.permissions,
        _user.role,
        _user.tier,
        func.coalesce(_key.last_used_at < _now() - timedelta(minutes=1), True).label("unused"),
    )
    .join_from(ApiKey.__table__, User.__table__, _user.id == _key.user_id)
    .where(_key.key_hash == bindparam("key_hash"), _key.revoked_at.is_(None))
    .where((_key.expires_at.is_(None)) | (_key.expires_at > _now()), _user.disabled_at.is_(None))
)


def create(
    db: Session,
    owner: Identity,
    *,
    name: str,
    permissions: Collection[Permission],
    expires_at: datetime | None = None,
    actor: Actor = SERVER,
) -> tuple[ApiKey, str]:
    """Make a key with some of its owner's permissions; returns the row and the key, which is shown only now.

    Raises:
        Forbidden: the owner lacks one of the permissions.
        Conflict: they have too many keys.
        ValidationFailed: it would have expired already, or last longer than `LONGEST`.
        Unauthorized: the owner was disabled or deleted this moment.
    """
    lacking = sorted(set(permissions) - owner.permissions)
    if lacking:
        refused = Forbidden(f"A key can't do what you may not do yourself: {', '.join(lacking)}.")
        raise audit.refusal(refused, "key.created", Subject("key", None, name), lacking=lacking)
    if expires_at is not None:
        _check_expiry(db, expires_at)
    _hold(db, owner.user_id)
    if len(listing(db, owner.user_id)) >= MOST_KEYS:
        raise Conflict(f"There are {MOST_KEYS} keys already: delete one first.")
    text = _PREFIX + secrets.token_urlsafe(32)
    row = ApiKey(
        id=new_id("key"),
        user_id=owner.user_id,
        name=name,
        hint=text[:_HINT_LENGTH],
        key_hash=_digest(text),
        permissions=sorted(set(permissions)),
        expires_at=expires_at,
    )
    db.add(row)
    db.flush()
    db.refresh(row)
    audit.record(
        db, "key.created", actor, _subject(row), permissions=row.permissions, expires=_text(expires_at)
    )
    return row, text


def find(db: Session, text: str) -> Identity | None:
    """The identity and permissions behind a key; None for an unknown, revoked or expired one."""
    row = db.execute(_IDENTITY, {"key_hash": _digest(text)}).first()
    if row is None:
        return None
    if row.unused:  # to the minute: enough to tell a forgotten key from one in use
        db.execute(update(ApiKey).where(ApiKey.id == row.id).values(last_used_at=_now()))
    granted = permissions_of(row.role) & {
        Permission(name) for name in row.permissions if name in set(Permission)
    }
    return Identity(row.user_id, None, row.role, granted, row.tier, row.id)


def listing(db: Session, user_id: str) -> Sequence[ApiKey]:
    """The keys of a user that are not revoked, newest first."""
    query = select(ApiKey).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
    return db.scalars(query.order_by(ApiKey.id.desc())).all()


def revoke(db: Session, key_id: str, *, user_id: str, actor: Actor = SERVER) -> ApiKey:
    """End a key of a user.

    Raises:
        NotFound: they have no such key.
    """
    query = select(ApiKey).where(ApiKey.id == key_id, ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
    row = db.scalars(query.with_for_update()).one_or_none()
    if row is None:
        raise NotFound("There is no such API key.")
    row.revoked_at = _now()
    db.flush()
    db.refresh(row)
    audit.record(db, "key.revoked", actor, _subject(row))
    return row


def revoke_all(db: Session, user_id: str) -> int:
    """End all keys of a user; returns how many ended."""
    ended = db.execute(
        update(ApiKey)
        .where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=_now())
        .returning(ApiKey.id),
        execution_options={"synchronize_session": False},
    )
    return len(ended.all())


def forget_old(db: Session, age: timedelta) -> None:
    """Drop the rows of keys that ended longer ago than `age`."""
    since = _now() - age
    db.execute(delete(ApiKey).where(or_(ApiKey.revoked_at < since, ApiKey.expires_at < since)))


def _hold(db: Session, user_id: str) -> None:
    """One key of a user at a time, and none once all of them have been ended for good."""
    live = select(_user.id).where(_user.id == user_id, _user.disabled_at.is_(None)).with_for_update()
    if db.scalar(live) is None:
        raise Unauthorized("This account has just been closed.")


def _check_expiry(db: Session, expires_at: datetime) -> None:
    now = db.scalars(select(_now())).one()
    if not now < expires_at <= now + LONGEST:
        words = f"Must lie in the future, at most {LONGEST.days // 365} years from now."
        raise ValidationFailed("The key's end is not accepted.", expiresAt=words)


def _subject(row: ApiKey) -> Subject:
    return Subject("key", row.id, row.name)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
