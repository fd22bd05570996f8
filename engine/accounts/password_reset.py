"""Password reset by mail: asked for, mailed by a worker, used once; it ends all that could be in wrong hands."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, and_, delete, func, select, update
from sqlalchemy.orm import Session

from config.settings import Settings
from engine import audit
from engine.accounts.users import normal_email
from engine.audit import Actor, Subject
from engine.errors import NotFound
from engine.events import timestamp
from engine.identity import api_keys, passwords, sessions
from engine.mails import mails
from engine.mails.texts import Template
from engine.notifications.notifications import notify
from models.base import new_id
from models.password_reset import PasswordReset
from models.user import User

_now = func.clock_timestamp
_HAS_PASSWORD = and_(User.password_hash.is_not(None), User.disabled_at.is_(None), User.deleted_at.is_(None))


def request(db: Session, settings: Settings, email: str, actor: Actor) -> None:
    """Have a link mailed to whoever signs in with this address and a password, if there is anybody.

    Does exactly the same for every address: only the worker looks whether somebody has it.
    """
    audit.record(db, "password.reset_requested", actor, Subject("email", None, normal_email(email)))
    mails.queue(db, settings, template=Template.PASSWORD_RESET, recipient=normal_email(email))


def issue(db: Session, settings: Settings, email: str) -> tuple[User, str] | None:
    """Make the link for the account of an address, good once and for `RESET_SECONDS`; None without an account.

    It belongs to the account's own address, which `email` may spell differently.
    """
    wanted = and_(func.lower(User.email) == normal_email(email), User.email_claimed_at.is_(None))
    user = db.scalars(select(User).where(wanted, _HAS_PASSWORD)).one_or_none()
    if user is None:
        return None
    token = secrets.token_urlsafe(32)
    row = PasswordReset(
        id=new_id("rst"),
        user_id=user.id,
        token_hash=_digest(token),
        expires_at=_now() + timedelta(seconds=settings.reset_seconds),
    )
    db.add(row)
    db.flush()
    return user, f"{settings.public_base}/reset-password?{urlencode({'token': token, 'tokenId': row.id})}"


def mail_details(db: Session, settings: Settings, recipient: str) -> tuple[str, dict[str, str]] | None:
    """The address and the details of the mail with a new link, made when it is written; None without an account."""
    issued = issue(db, settings, recipient)
    if issued is None:
        return None
    user, url = issued
    minutes = f"{settings.reset_seconds / 60:.0f}"
    return user.email or recipient, {"name": user.name, "url": url, "minutes": minutes}


def check(db: Session, token: str, token_id: str) -> datetime:
    """Until when a reset holds.

    Raises:
        NotFound: it is unknown, used or expired, or its account can't use it any more.
    """
    query = select(PasswordReset.expires_at).join(User, User.id == PasswordReset.user_id)
    found = db.scalar(query.where(_holds(token), PasswordReset.id == token_id, _HAS_PASSWORD))
    if found is None:
        raise _gone("checked")
    return found


def confirm(db: Session, settings: Settings, token: str, password: str, *, address: str | None) -> User:
    """Give the account a new password, once; ends all its sessions, API keys and other resets, and tells its owner.

    Raises:
        NotFound: as for `check`.
        ValidationFailed: the password is too easy to guess; the link still holds.
    """
    query = select(User).join(PasswordReset, PasswordReset.user_id == User.id).where(_holds(token))
    # The user is locked first: two resets of one account come one after the other.
    user = db.scalars(query.where(_HAS_PASSWORD).with_for_update(of=User)).one_or_none()
    if user is None or _digest(token) not in _use_up(db, user.id):
        raise _gone("used")
    user.password_hash = passwords.chosen(password, name=user.name, email=user.email, field="newPassword")
    ended = sessions.revoke_all(db, user.id)
    revoked = api_keys.revoke_all(db, user.id)
    actor = Actor(user.id, None, address)
    audit.record(
        db, "password.reset", actor, Subject("user", user.id, user.name), sessions=ended, keys=revoked
    )
    consequences = "All devices were signed out and all API keys revoked."
    if user.plex_id is not None:
        whose = user.plex_username or "without a name"
        consequences += (
            f" The Plex account {whose} stays linked, and whoever has it can sign in: if it is not yours,"
        )
        consequences += " unlink it."
    tell_of_change(db, settings, user, consequences)
    return user


def tell_of_change(db: Session, settings: Settings, user: User, consequences: str) -> None:
    """Tell a user by notification and mail that their password was changed: it may have been somebody else."""
    notify(
        db,
        user.id,
        type="security.password_changed",
        title="Your password was changed",
        message=f"{consequences} If it was not you, tell whoever runs this MediaNest at once.",
    )
    if user.mailbox and mails.can_be_sent(settings):
        at = timestamp(db.scalar(select(_now())) or user.created_at)
        details = {"name": user.name, "at": at, "consequences": consequences}
        mails.queue(db, settings, template=Template.PASSWORD_CHANGED, recipient=user.mailbox, details=details)


def forget_old(db: Session, age: timedelta) -> None:
    """Drop resets that expired longer than `age` ago."""
    db.execute(delete(PasswordReset).where(PasswordReset.expires_at < _now() - age))


def _use_up(db: Session, user_id: str) -> set[str]:
    """Use up all open resets of a user; returns the hashes of their tokens."""
    used = db.scalars(
        update(PasswordReset)
        .where(PasswordReset.user_id == user_id, PasswordReset.used_at.is_(None))
        .where(PasswordReset.expires_at > _now())
        .values(used_at=_now())
        .returning(PasswordReset.token_hash),
        execution_options={"synchronize_session": False},
    )
    return set(used.all())


def _holds(token: str) -> ColumnElement[bool]:
    """The reset of this token, while it is open; by its hash, so that time tells nothing of the token."""
    return and_(
        PasswordReset.token_hash == _digest(token),
        PasswordReset.used_at.is_(None),
        PasswordReset.expires_at > _now(),
    )


def _gone(when: str) -> NotFound:
    gone = NotFound("This link is not valid any more: ask for a new one.")
    return audit.refusal(gone, "password.reset", outcome="failure", reason="not valid", when=when)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
