"""Sessions and API keys in bulk: the identity behind each at this moment."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine.identity.sessions import Identity
from engine.permissions import Permission, permissions_of
from models.api_key import ApiKey
from models.login import Login
from models.user import User

_now = func.clock_timestamp


def identities(db: Session, credential_ids: Collection[str]) -> Mapping[str, Identity]:
    """The identities behind those of the given sessions and keys that are valid, by session or key id."""
    keys = [each for each in credential_ids if each.startswith("key-")]
    logins = [each for each in credential_ids if not each.startswith("key-")]
    return {**_of_logins(db, logins), **(_of_keys(db, keys) if keys else {})}


def _of_logins(db: Session, ids: Collection[str]) -> Mapping[str, Identity]:
    query = (
        select(Login.id, Login.user_id, User.role, User.tier)
        .join(User, User.id == Login.user_id)
        .where(Login.id.in_(ids), Login.revoked_at.is_(None), Login.expires_at > _now())
        .where(User.disabled_at.is_(None), User.deleted_at.is_(None))
    )
    return {
        row.id: Identity(row.user_id, row.id, row.role, permissions_of(row.role), row.tier)
        for row in db.execute(query)
    }


def _of_keys(db: Session, ids: Collection[str]) -> Mapping[str, Identity]:
    query = (
        select(ApiKey.id, ApiKey.user_id, ApiKey.permissions, User.role, User.tier)
        .join(User, User.id == ApiKey.user_id)
        .where(ApiKey.id.in_(ids), ApiKey.revoked_at.is_(None))
        .where(ApiKey.expires_at.is_(None) | (ApiKey.expires_at > _now()))
        .where(User.disabled_at.is_(None), User.deleted_at.is_(None))
    )
    return {
        row.id: Identity(row.user_id, None, row.role, granted(row.role, row.permissions), row.tier, row.id)
        for row in db.execute(query)
    }


def granted(role: str, names: Collection[str]) -> frozenset[Permission]:
    """The permissions of a key: what it was given, less what its owner lacks at this moment."""
    return frozenset(permission for permission in permissions_of(role) if permission.value in names)
