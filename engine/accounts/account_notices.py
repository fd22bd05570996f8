"""Tells a user, where he reads it, that something changed by which his account could be taken from him."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine import mails
from engine.accounts.permissions import ROLES, Permission, permissions_of
from engine.events import timestamp
from engine.mail_texts import Template
from engine.notifications import notify
from models.user import User

_now = func.clock_timestamp


def tell_of_key(db: Session, settings: Settings, user: User, key_name: str) -> None:
    """Tell of a new API key."""
    what = f'An API key named "{key_name}" was made: whatever has it can act for you.'
    _tell(db, settings, user, "security.key_created", "New API key", what, user.email)


def tell_of_address(db: Session, settings: Settings, user: User, former: str | None) -> None:
    """Tell of another e-mail address; the mail goes to the former one, where somebody may be robbed of his account."""
    what = f"The e-mail address of your account was changed to {user.email}."
    _tell(db, settings, user, "security.email_changed", "Your e-mail address was changed", what, former)


def tell_of_plex(db: Session, settings: Settings, user: User, username: str | None, *, linked: bool) -> None:
    """Tell of a Plex account that was linked, with which one can sign in from now on, or unlinked."""
    whose = f"The Plex account {username}" if username else "A Plex account"
    if linked:
        title, what = "A Plex account was linked", f"{whose} was linked: whoever has it can sign in as you."
    else:
        title, what = (
            "Your Plex account was unlinked",
            f"{whose} was unlinked: it does not sign you in any more.",
        )
    kind = "security.plex_linked" if linked else "security.plex_unlinked"
    _tell(db, settings, user, kind, title, what, user.email)


def tell_admins_of_unlinking(db: Session, user: User, username: str | None) -> None:
    """Tell those who look after users that plex.tv does not decide about one of them any more."""
    roles = [role for role in ROLES if Permission.USERS_MANAGE in permissions_of(role)]
    for admin_id in db.scalars(select(User.id).where(User.role.in_(roles), User.disabled_at.is_(None))):
        notify(
            db,
            admin_id,
            type="user.plex_unlinked",
            title=f"{user.name} has unlinked Plex",
            message=f"{user.name} signs in with a password alone from now on"
            f" (the Plex account was {username or 'unnamed'}): losing access at Plex does not end that any more.",
            subject=("user", user.id),
            by=user.id,
        )


def _tell(
    db: Session, settings: Settings, user: User, kind: str, title: str, what: str, address: str | None
) -> None:
    advice = "If it was not you, change your password and tell whoever runs this MediaNest at once."
    notify(db, user.id, type=kind, title=title, message=f"{what} {advice}")
    if address and mails.can_be_sent(settings):
        at = timestamp(db.scalars(select(_now())).one())
        details = {"name": user.name, "what": what, "at": at}
        mails.queue(db, settings, template=Template.ACCOUNT_CHANGED, recipient=address, details=details)
