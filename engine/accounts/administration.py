"""What those do who look after users: make, change, disable and delete them.

Nobody acts on somebody who may do more than himself, or makes somebody who may; an API key counts for what the key
may do. There is always an enabled super admin. What is changed holds from the next request, for a session's user is
looked up at each.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from engine import audit, downloads, secret_box
from engine.accounts import api_keys, sessions, users
from engine.accounts.permissions import GUEST, permissions_of
from engine.accounts.plex_accounts import SECRET_PREFIX
from engine.accounts.sessions import Identity
from engine.audit import Actor, Subject
from engine.errors import Conflict, Forbidden, NotFound
from models.api_key import ApiKey
from models.invitation import Invitation
from models.login import Login
from models.notification import Notification
from models.password_reset import PasswordReset
from models.user import User

DELETED_NAME = "Deleted user"

_now = func.clock_timestamp


def create(
    db: Session,
    *,
    by: Identity,
    actor: Actor,
    email: str,
    name: str,
    password: str,
    role: str,
    tier: str,
) -> User:
    """Make a user who signs in with address and password.

    Raises:
        Forbidden: the role may do more than who makes him.
        Conflict: the address belongs to somebody.
    """
    _refuse_above(by, role)
    user = users.create(db, email=email, password=password, name=name, role=role, tier=tier)
    audit.record(db, "user.created", actor, subject_of(user), role=role, tier=tier)
    return user


def change(
    db: Session,
    user_id: str,
    *,
    by: Identity,
    actor: Actor,
    name: str | None = None,
    email: str | None = None,
    tier: str | None = None,
    disabled: bool | None = None,
) -> User:
    """Change a user; what is None stays. Disabling ends all his sessions and API keys.

    Raises:
        NotFound: there is none, or he is deleted.
        Forbidden: he may do more than who changes him.
        Conflict: the address belongs to somebody, or he is the last enabled super admin.
    """
    user = _held(db, user_id, by)
    wanted = {"name": name, "email": email and users.normal_email(email), "tier": tier}
    changes = {
        field: {"before": getattr(user, field), "after": value}
        for field, value in wanted.items()
        if value is not None and value != getattr(user, field)
    }
    if "email" in changes:
        users.refuse_taken(db, changes["email"]["after"], besides=user.id, among_all=True)
        forget_resets(db, user.id)
    for field, values in changes.items():
        setattr(user, field, values["after"])
    users.flush_address(db)
    if changes:
        audit.record(db, "user.updated", actor, subject_of(user), changes=changes)
    if disabled is True:
        _disable(db, user, actor)
    elif disabled is False and user.disabled_at is not None:
        user.disabled_at = user.disabled_reason = None
        audit.record(db, "user.enabled", actor, subject_of(user))
    db.flush()
    db.refresh(user)
    return user


def set_role(db: Session, user_id: str, role: str, *, by: Identity, actor: Actor) -> User:
    """Give a user another role; he stays signed in. One who may do less from now on has his open invitations taken
    back: each was his word for somebody.

    Raises:
        NotFound: there is none, or he is deleted.
        Forbidden: he may do more than who changes him, or would.
        Conflict: he is the last enabled super admin.
    """
    user = _held(db, user_id, by)
    _refuse_above(by, role)
    if role == user.role:
        return user
    before, lost = user.role, permissions_of(user.role) - permissions_of(role)
    if lost:
        _refuse_last(db, user)
        _take_back_invitations(db, user.id)
    user.role = role
    db.flush()
    audit.record(db, "user.role_changed", actor, subject_of(user), before=before, after=role)
    return user


def delete(db: Session, user_id: str, *, by: Identity, actor: Actor) -> User:
    """Delete a user; returns him as he was.

    His sessions, API keys, notifications, resets, invitations and Plex token are gone, his downloads that are not
    finished are cancelled. What he has finished stays, with a row that has lost name and address. If he comes again,
    with Plex or by an invitation, he is somebody new.

    Raises:
        NotFound: there is none, or he is deleted already.
        Forbidden: he may do more than who deletes him.
        Conflict: he is the last enabled super admin.
    """
    user = _held(db, user_id, by)
    _refuse_last(db, user)
    cancelled = downloads.cancel_all(db, user.id)
    for table in (Login, ApiKey, Notification, PasswordReset):
        db.execute(sql_delete(table).where(table.user_id == user.id))
    db.execute(sql_delete(Invitation).where(Invitation.accepted_by == user.id))  # it bears his address
    _take_back_invitations(db, user.id)
    secret_box.drop(db, SECRET_PREFIX + user.id)
    audit.record(db, "user.deleted", actor, subject_of(user), role=user.role, cancelledDownloads=cancelled)
    db.flush()
    db.expunge(user)
    db.execute(update(User).where(User.id == user.id).values(_nobody()))
    return user


def forget_resets(db: Session, user_id: str) -> None:
    """Let no reset hold that was mailed to a user's former address, or before his password changed."""
    db.execute(sql_delete(PasswordReset).where(PasswordReset.user_id == user_id))


def subject_of(user: User) -> Subject:
    """A user, as the audit log names him."""
    return Subject("user", user.id, user.name)


def _held(db: Session, user_id: str, by: Identity) -> User:
    """A user whom `by` may act on, locked."""
    query = select(User).where(User.id == user_id, User.deleted_at.is_(None)).with_for_update()
    user = db.scalars(query).one_or_none()
    if user is None:
        raise NotFound("There is no such user.")
    _refuse_above(by, user.role)
    return user


def _refuse_above(by: Identity, role: str) -> None:
    if permissions_of(role) - by.permissions:
        raise Forbidden(f"You can't make or change a user of the role {role}: he may do more than you.")


def _refuse_last(db: Session, user: User) -> None:
    if users.is_last_super_admin(db, user):
        raise Conflict("This is the last super admin: make another one first.")


def _disable(db: Session, user: User, actor: Actor) -> None:
    if user.disabled_reason == "admin":
        return
    _refuse_last(db, user)
    user.disabled_at, user.disabled_reason = _now(), "admin"
    db.flush()
    ended, revoked = sessions.revoke_all(db, user.id), api_keys.revoke_all(db, user.id)
    forget_resets(db, user.id)
    _take_back_invitations(db, user.id)
    audit.record(db, "user.disabled", actor, subject_of(user), sessions=ended, keys=revoked)


def _take_back_invitations(db: Session, user_id: str) -> None:
    """What is being accepted this very moment is passed over: it waits for us, and then asks who invited."""
    mine = select(Invitation.id).where(
        Invitation.invited_by == user_id, Invitation.accepted_at.is_(None), Invitation.revoked_at.is_(None)
    )
    locked = mine.with_for_update(skip_locked=True)
    db.execute(update(Invitation).where(Invitation.id.in_(locked)).values(revoked_at=_now()))


def _nobody() -> dict[str, Any]:
    """What is left of a deleted user."""
    gone = (
        "email",
        "password_hash",
        "plex_id",
        "plex_username",
        "plex_avatar",
        "plex_checked_at",
        "last_login_at",
    )
    return {
        **dict.fromkeys(gone),
        "name": DELETED_NAME,
        "role": GUEST,
        "tier": "standard",
        "disabled_at": _now(),
        "disabled_reason": "admin",
        "deleted_at": _now(),
    }
