"""Security notices to a user: a new API key, another address, another Plex account, another password."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.events import timestamp
from engine.mails import mails
from engine.mails.texts import Template
from engine.notifications.notifications import notify
from engine.permissions import ROLES, is_admin
from models.user import User

_now = func.clock_timestamp
_ADVICE = "If that is not meant to be, look at the audit log and take it back."


def tell_of_key(db: Session, settings: Settings, user: User, key_name: str) -> None:
    """Tell of a new API key."""
    what = f'An API key named "{key_name}" was made: whatever has it can act for you.'
    _tell(db, settings, user, "security.key_created", "New API key", what, user.mailbox)


def tell_of_address(db: Session, settings: Settings, user: User, former: str | None) -> None:
    """Tell of another e-mail address, by mail to both: the owner of the former one may be losing their account.

    Not to an address that another user has: they would learn of somebody else's account.
    """
    what = f"The e-mail address of your account was changed to {user.email}."
    _tell(db, settings, user, "security.email_changed", "Your e-mail address was changed", what, former)
    if user.email != former:
        _mail(db, settings, user, what, user.mailbox)


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
    _tell(db, settings, user, kind, title, what, user.mailbox)


def tell_admins_of_admin(db: Session, settings: Settings, user: User, *, by: str | None) -> None:
    """Tell those who look after users, by notification and mail, of one more; nothing where `user` does not.

    Args:
        db: the unit of work in which that came about.
        settings: for mails.
        user: who is an admin from now on; is not told.
        by: whose doing it was; is not told either. None: nobody's, such as the environment's.
    """
    if not is_admin(user.role):
        return
    word = user.role.replace("_", " ")
    title, message = (
        f"{user.name} is {word} now",
        f"{user.name} ({user.email or 'no address'}) is {word} now.",
    )
    for admin in _admins(db):
        if admin.id not in {user.id, by}:
            notify(db, admin.id, type="user.new_admin", title=title, message=f"{message} {_ADVICE}")
            _mail(db, settings, admin, message, admin.mailbox)


def tell_admins_of_unlinking(db: Session, user: User, username: str | None) -> None:
    """Tell those who look after users that plex.tv does not decide about one of them any more."""
    for admin in _admins(db):
        notify(
            db,
            admin.id,
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
    own = "If it was not you, change your password and tell whoever runs this MediaNest at once."
    notify(db, user.id, type=kind, title=title, message=f"{what} {own}")
    _mail(db, settings, user, what, address)


def _admins(db: Session) -> Sequence[User]:
    roles = [role for role in ROLES if is_admin(role)]
    return db.scalars(select(User).where(User.role.in_(roles), User.disabled_at.is_(None))).all()


def _mail(db: Session, settings: Settings, user: User, what: str, address: str | None) -> None:
    if address and mails.can_be_sent(settings):
        at = timestamp(db.scalars(select(_now())).one())
        details = {"name": user.name, "what": what, "at": at}
        mails.queue(db, settings, template=Template.ACCOUNT_CHANGED, recipient=address, details=details)
