"""What a user changes about themself: name, e-mail address, password, API keys; with proof of the person where needed.

Address and password take the password so far; where there is none, a Plex PIN that was claimed lately: at sign-in, or
since (`confirmation`).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine import audit
from engine.accounts import invitations, users
from engine.accounts.account_notices import tell_of_address, tell_of_key
from engine.accounts.administration import subject_of
from engine.accounts.password_reset import tell_of_change
from engine.audit import Actor, Subject
from engine.errors import Conflict, Forbidden, Unauthorized, ValidationFailed
from engine.identity import api_keys, passwords, sessions
from engine.identity.closing import EndedAccess, forget_resets
from engine.identity.confirmation import WrongPassword, require_person
from engine.identity.sessions import Identity
from engine.permissions import Permission
from models.api_key import ApiKey
from models.user import User


def choose(db: Session, mine: Identity, **choices: str | dict[str, str]) -> None:
    """Keep what one has chosen for pages: `language`, `theme` ("system" for that of the system), `download_choice`."""
    user = users.get(db, mine.user_id)
    for name, value in choices.items():
        setattr(user, name, None if value in ("", "system") else value)
    db.flush()


def change(
    db: Session,
    settings: Settings,
    mine: Identity,
    *,
    actor: Actor,
    name: str | None = None,
    email: str | None = None,
    password: str | None = None,
) -> User:
    """Change one's own name or address; what is None stays. Another address takes the proof.

    An address that is somebody else's, or kept for who is invited, is only claimed: nothing tells so, for that would
    tell anybody who has an account.

    Raises:
        ValidationFailed: the password is missing.
        WrongPassword: it is another.
        ConfirmationRequired: there is no password, and no Plex PIN was claimed lately.
        Forbidden: another address, asked for with an API key.
    """
    user = _held(db, mine)
    former = user.mailbox
    wanted = {"name": name, "email": email and users.normal_email(email)}
    changes = {
        field: {"before": getattr(user, field), "after": value}
        for field, value in wanted.items()
        if value is not None and value != getattr(user, field)
    }
    if "email" in changes:
        if mine.login_id is None:
            raise Forbidden("The e-mail address can't be changed with an API key: sign in.")
        _prove(user, password, actor, "user.updated")
        claimed_at = _claimed_at(db, changes["email"]["after"], user)
        forget_resets(db, user.id)
    for field, values in changes.items():
        setattr(user, field, values["after"])
    if "email" in changes:
        user.email_claimed_at = claimed_at  # written together with the address, which is unique without it
    users.flush_address(db)
    if changes:
        audit.record(db, "user.updated", actor, subject_of(user), changes=changes)
    if "email" in changes:
        tell_of_address(db, settings, user, former)
    return user


def change_password(
    db: Session, settings: Settings, mine: Identity, *, actor: Actor, current: str | None, new: str
) -> EndedAccess:
    """Set one's password, and end all other sessions and all API keys. Who came with Plex sets their first one.

    Raises:
        ValidationFailed: the current password is missing, or the new one too easy to guess.
        WrongPassword: it is another.
        ConfirmationRequired: there is none, and no Plex PIN was claimed lately.
        Conflict: a first password for an address that is missing.
    """
    user = _held(db, mine)
    if user.password_hash is None and user.email is None:
        raise Conflict(
            "You need an e-mail address to sign in with a password: add one to your profile first."
        )
    _prove(user, current, actor, "password.changed")
    new_hash = passwords.chosen(new, name=user.name, email=user.email, field="newPassword")
    if user.password_hash is None and user.email is not None:
        user.email_claimed_at = _claimed_at(db, user.email, user)
    user.password_hash = new_hash
    users.flush_address(db)
    ended = EndedAccess(
        sessions.revoke_others(db, user_id=user.id, keep=mine.session_id), api_keys.revoke_all(db, user.id)
    )
    forget_resets(db, user.id)
    audit.record(db, "password.changed", actor, subject_of(user), sessions=ended.sessions, keys=ended.keys)
    tell_of_change(db, settings, user, "Your other devices were signed out and all API keys revoked.")
    return ended


def prove(db: Session, mine: Identity, password: str | None, actor: Actor) -> None:
    """Make sure that the person themself asks to link a Plex account: by their password, where they have one.

    Raises:
        ValidationFailed: it is missing.
        WrongPassword: it is another.
        ConfirmationRequired: there is none, and no Plex PIN was claimed lately.
    """
    _prove(_held(db, mine), password, actor, "user.updated")


def make_key(
    db: Session,
    settings: Settings,
    mine: Identity,
    *,
    name: str,
    permissions: Collection[Permission],
    expires_at: datetime | None,
    actor: Actor,
) -> tuple[ApiKey, str]:
    """Make an API key as `api_keys.create` does, with its errors, and tell its owner.

    Raises:
        ConfirmationRequired: the proof is missing or too old: a key outlasts the token that it is asked for with.
    """
    require_person(actor, "key.created", Subject("key", None, name), permissions=sorted(permissions))
    made = api_keys.create(db, mine, name=name, permissions=permissions, expires_at=expires_at, actor=actor)
    tell_of_key(db, settings, users.get(db, mine.user_id), name)
    return made


def _held(db: Session, mine: Identity) -> User:
    """The acting user, locked against concurrent changes."""
    live = select(User).where(User.id == mine.user_id, User.disabled_at.is_(None))
    user = db.scalars(live.with_for_update(key_share=True)).one_or_none()
    if user is None:
        raise Unauthorized("This account has just been closed.")
    return user


def _claimed_at(db: Session, email: str, user: User) -> datetime | None:
    """Now, where somebody else signs in with an address or is invited to, else None; holds until the unit ends."""
    invited = invitations.is_invited(db, email)  # first: of two who ask at once one waits here for the other
    if not invited and not users.is_taken(db, email, besides=user.id):
        return None
    moment: datetime = db.scalars(select(func.clock_timestamp())).one()
    return moment


def _prove(user: User, password: str | None, actor: Actor, action: str) -> None:
    if user.password_hash is None:
        require_person(actor, action, subject_of(user))
        return
    if password is None:
        raise ValidationFailed(
            "This needs your current password.", currentPassword="Missing data for required field."
        )
    if not passwords.matches(user.password_hash, password):
        raise WrongPassword("The current password is wrong.")
