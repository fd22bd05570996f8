"""User administration: admins make, change, disable and delete users.

Nobody acts on a user with more permissions than their own, or makes one; of an API key its own permissions count. There
is always an enabled super admin. A change holds from the next request, since each one reads the session's user. Making
and unmaking admins, and changing a sign-in address, takes a recent proof of the person
(`engine.identity.confirmation`); one's own address and role are never changed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from config.settings import Settings
from engine import audit
from engine.accounts import invitations, users
from engine.accounts.account_notices import tell_admins_of_admin, tell_of_address
from engine.audit import Actor, Subject
from engine.downloads import downloads
from engine.errors import Conflict, Forbidden, NotFound, Unauthorized
from engine.identity import closing, sessions
from engine.identity.confirmation import require_person
from engine.identity.sessions import Identity
from engine.media_requests import deciding
from engine.permissions import GUEST, Permission, is_admin, permissions_of
from engine.plex.server.user_tokens import secret_name
from engine.secrets import secret_box
from models.api_key import ApiKey
from models.delivery import ActionLink, Delivery, NotificationChannel, NotificationPreferences
from models.invitation import Invitation
from models.login import Login
from models.notification import Notification
from models.password_reset import PasswordReset
from models.user import User

DELETED_NAME = "Deleted user"

_now = func.clock_timestamp


def create(
    db: Session,
    settings: Settings,
    *,
    by: Identity,
    actor: Actor,
    email: str,
    name: str,
    password: str,
    role: str,
    tier: str,
) -> User:
    """Make a user who signs in with address and password. The other admins are told of an admin.

    Raises:
        Forbidden: the role has permissions that the acting admin lacks.
        ConfirmationRequired: an admin is to be made.
        Conflict: the address belongs to somebody.
        ValidationFailed: the password is too easy to guess.
    """
    subject = Subject("user", None, users.normal_email(email))
    _refuse_above(
        _rights(by, _locked(db, by.user_id).get(by.user_id)), role, "user.created", subject, role=role
    )
    if is_admin(role):
        require_person(actor, "user.created", subject, role=role)
    user = users.create(db, email=email, password=password, name=name, role=role, tier=tier)
    audit.record(db, "user.created", actor, subject_of(user), role=role, tier=tier)
    tell_admins_of_admin(db, settings, user, by=actor.user_id)
    return user


def change(
    db: Session,
    settings: Settings,
    user_id: str,
    *,
    by: Identity,
    actor: Actor,
    name: str | None = None,
    email: str | None = None,
    tier: str | None = None,
    disabled: bool | None = None,
    requests_per_days: Mapping[str, int] | Literal["same"] | None = "same",
) -> User:
    """Change a user; what is None stays. Disabling ends all their sessions and API keys.

    `requests_per_days` is their own quota of requests, `{"count", "days"}`; None: that of their role.

    Raises:
        NotFound: there is no such user, or they are deleted.
        Forbidden: they have permissions that the acting admin lacks, or it is the admin's own address.
        ConfirmationRequired: it is about an address, or an admin is disabled or let in again.
        Conflict: the address belongs to somebody, or they are the last enabled super admin.
    """
    given = {"name": name, "email": email, "tier": tier, "disabled": disabled}
    tried = {field: value for field, value in given.items() if value is not None}
    user, _ = _held(db, user_id, by, "user.updated", wanted=tried)
    former = user.mailbox
    wanted = {"name": name, "email": email and users.normal_email(email), "tier": tier}
    changes = {
        field: {"before": getattr(user, field), "after": value}
        for field, value in wanted.items()
        if value is not None and value != getattr(user, field)
    }
    if "email" in changes:
        _refuse_self(
            user, by, "user.updated", "address: PATCH /api/v1/users/me, with currentPassword", **tried
        )
        require_person(actor, "user.updated", subject_of(user), **tried)
        users.refuse_taken(db, changes["email"]["after"], besides=user.id, among_all=True)
        invitations.refuse_invited(db, changes["email"]["after"])
        closing.forget_resets(db, user.id)
        user.email_claimed_at = None
    if requests_per_days != "same" and requests_per_days != user.requests_per_days:
        after = None if requests_per_days is None else dict(requests_per_days)
        changes["requests_per_days"] = {"before": user.requests_per_days, "after": after}
    for field, values in changes.items():
        setattr(user, field, values["after"])
    users.flush_address(db)
    if changes:
        audit.record(db, "user.updated", actor, subject_of(user), changes=changes)
    if "email" in changes:
        tell_of_address(db, settings, user, former)
    if disabled is True:
        _disable(db, user, actor)
    elif disabled is False and user.disabled_at is not None:
        _enable(db, settings, user, actor)
    db.flush()
    db.refresh(user)
    return user


def set_role(db: Session, settings: Settings, user_id: str, role: str, *, by: Identity, actor: Actor) -> User:
    """Give a user another role; they stay signed in. The other admins are told of a new admin.

    A user who loses permissions has their open invitations revoked: each was their word for somebody.

    Raises:
        NotFound: there is no such user, or they are deleted.
        Forbidden: they have, or would have, permissions that the acting admin lacks, or it is the admin's own role.
        ConfirmationRequired: the proof that the person asks is missing or too old.
        Conflict: they are the last enabled super admin.
    """
    user, rights = _held(db, user_id, by, "user.role_changed", role=role)
    _refuse_above(rights, role, "user.role_changed", subject_of(user), role=role)
    before, lost = user.role, permissions_of(user.role) - permissions_of(role)
    if lost:
        _refuse_last(db, user, "user.role_changed", role=role)
    _refuse_self(user, by, "user.role_changed", "role: ask another admin", role=role)
    require_person(actor, "user.role_changed", subject_of(user), role=role)
    if role == user.role:
        return user
    if lost:
        closing.take_back_invitations(db, user.id)
    user.role = role
    db.flush()
    audit.record(db, "user.role_changed", actor, subject_of(user), before=before, after=role)
    if not lost:
        tell_admins_of_admin(db, settings, user, by=actor.user_id)
    return user


def end_sessions(db: Session, user_id: str, *, by: Identity, actor: Actor) -> int:
    """Sign a user out everywhere; their API keys stay. Returns how many sessions ended.

    Raises:
        NotFound: there is no such user, or they are deleted.
        Forbidden: they have permissions that the acting admin lacks.
    """
    user, _ = _held(db, user_id, by, "user.sessions_ended")
    ended = sessions.revoke_all(db, user.id)
    audit.record(db, "user.sessions_ended", actor, subject_of(user), sessions=ended)
    return ended


def delete(db: Session, user_id: str, *, by: Identity, actor: Actor) -> User:
    """Delete a user; returns them as they were.

    Their sessions, API keys, notifications, resets, invitations and Plex token are gone, their unfinished downloads
    are cancelled. What they have finished stays, with a row that has lost name and address. If they come again, with
    Plex or by an invitation, they are a new user.

    Raises:
        NotFound: there is no such user, or they are deleted already.
        Forbidden: they have permissions that the acting admin lacks.
        ConfirmationRequired: they are an admin.
        Conflict: they are the last enabled super admin.
    """
    user, _ = _held(db, user_id, by, "user.deleted")
    _refuse_last(db, user, "user.deleted")
    if is_admin(user.role):
        require_person(actor, "user.deleted", subject_of(user))
    cancelled = downloads.cancel_all(db, user.id)
    deciding.forget_user(db, user.id)
    channels = (NotificationChannel, NotificationPreferences, Delivery, ActionLink)
    for table in (Login, ApiKey, Notification, PasswordReset, *channels):
        db.execute(sql_delete(table).where(table.user_id == user.id))
    db.execute(sql_delete(Invitation).where(Invitation.accepted_by == user.id))  # it bears their address
    closing.take_back_invitations(db, user.id)
    secret_box.drop(db, secret_name(user.id))
    audit.record(db, "user.deleted", actor, subject_of(user), role=user.role, cancelledDownloads=cancelled)
    db.flush()
    db.expunge(user)
    db.execute(update(User).where(User.id == user.id).values(_nobody()))
    return user


def subject_of(user: User) -> Subject:
    """A user, as the audit log names them."""
    return Subject("user", user.id, user.name)


def _held(
    db: Session, user_id: str, by: Identity, action: str, **tried: Any
) -> tuple[User, frozenset[Permission]]:
    """A user whom `by` may act on, and the permissions of `by`; both are locked and read anew."""
    found = _locked(db, user_id, by.user_id)
    rights = _rights(by, found.get(by.user_id))
    user = found.get(user_id)
    if user is None:
        raise NotFound("There is no such user.")
    _refuse_above(rights, user.role, action, subject_of(user), **tried)
    return user, rights


def _locked(db: Session, *user_ids: str) -> dict[str, User]:
    """Users by their ids, as they are now; in one order, so that two who act on each other do not wait for ever."""
    query = select(User).where(User.id.in_(user_ids), User.deleted_at.is_(None)).order_by(User.id)
    fresh = query.with_for_update().execution_options(populate_existing=True)
    return {user.id: user for user in db.scalars(fresh)}


def _rights(by: Identity, now: User | None) -> frozenset[Permission]:
    """The permissions that the acting admin still has, read under the lock."""
    if now is None or now.disabled_at is not None:
        raise Unauthorized("This account has just been closed.")
    rights = by.permissions & permissions_of(now.role)
    if Permission.USERS_MANAGE not in rights:
        raise Forbidden("You may not look after users any more.")
    return rights


def _refuse_above(
    rights: frozenset[Permission], role: str, action: str, subject: Subject, /, **tried: Any
) -> None:
    if permissions_of(role) - rights:
        words = f"You can't make or change a user of the role {role}: they may do more than you."
        raise audit.refusal(Forbidden(words), action, subject, **tried)


def _refuse_last(db: Session, user: User, action: str, **tried: Any) -> None:
    if users.is_last_super_admin(db, user):
        words = "This is the last super admin: make another one first."
        raise audit.refusal(Conflict(words), action, subject_of(user), reason="last super admin", **tried)


def _refuse_self(user: User, by: Identity, action: str, what: str, **tried: Any) -> None:
    if user.id == by.user_id:
        words = f"Not here: this is your own {what}."
        raise audit.refusal(Forbidden(words), action, subject_of(user), reason="oneself", **tried)


def _enable(db: Session, settings: Settings, user: User, actor: Actor) -> None:
    if is_admin(user.role):
        require_person(actor, "user.enabled", subject_of(user))
    user.disabled_at = user.disabled_reason = None
    audit.record(db, "user.enabled", actor, subject_of(user))
    tell_admins_of_admin(db, settings, user, by=actor.user_id)


def _disable(db: Session, user: User, actor: Actor) -> None:
    if user.disabled_reason == "admin":
        return
    _refuse_last(db, user, "user.disabled")
    if is_admin(user.role):
        require_person(actor, "user.disabled", subject_of(user))
    ended = closing.close(db, user, "admin")
    audit.record(db, "user.disabled", actor, subject_of(user), sessions=ended.sessions, keys=ended.keys)


def _nobody() -> dict[str, Any]:
    """The columns of a deleted user."""
    gone = (
        "email",
        "email_claimed_at",
        "password_hash",
        "plex_id",
        "plex_username",
        "plex_avatar",
        "plex_checked_at",
        "plex_server_id",
        "plex_owner",
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
