"""Users: the first one, who signs in with which password, and who somebody is."""

from __future__ import annotations

import hmac

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.accounts import passwords
from engine.accounts.permissions import SUPER_ADMIN
from engine.errors import Conflict, Forbidden, NotFound
from models.base import new_id
from models.user import User

_BOOTSTRAP_LOCK = 7_240_412  # any number that nobody else uses for an advisory lock

_now = func.clock_timestamp


def normal_email(text: str) -> str:
    """The form in which an address is stored and compared: trimmed, in lower case."""
    return text.strip().lower()


def is_bootstrapped(db: Session) -> bool:
    """Whether there is a super admin."""
    return db.scalar(select(User.id).where(User.role == SUPER_ADMIN).limit(1)) is not None


def bootstrap(
    db: Session, settings: Settings, *, email: str, password: str, name: str, setup_token: str | None
) -> User:
    """Make the first super admin; any number of calls at once make exactly one.

    Raises:
        Conflict: there is one, or the address belongs to somebody.
        Forbidden: in production, without the right setup token.
    """
    db.execute(select(func.pg_advisory_xact_lock(_BOOTSTRAP_LOCK)))
    if is_bootstrapped(db):
        raise Conflict("The administrator exists already: sign in instead.")
    if settings.app_env == "production":
        wanted = settings.resolve_setup_token()
        if not hmac.compare_digest((setup_token or "").encode(), wanted.encode()):
            raise Forbidden(
                "In production this needs the setup token that the server printed at its first start."
            )
    if find_by_email(db, email) is not None:
        raise Conflict("This e-mail address is taken.")
    user = User(
        id=new_id("user"),
        email=normal_email(email),
        name=name,
        role=SUPER_ADMIN,
        password_hash=passwords.make_hash(password),
    )
    db.add(user)
    db.flush()
    db.refresh(user)
    return user


def find_by_email(db: Session, email: str) -> User | None:
    """The user with this address, in any spelling."""
    return db.scalars(select(User).where(func.lower(User.email) == normal_email(email))).one_or_none()


def check_password(db: Session, email: str, password: str) -> User | None:
    """The enabled user with this address and password.

    An unknown address, an account without a password, a disabled one and a wrong password all give None and
    take the same time.
    """
    user = find_by_email(db, email)
    stored = None if user is None else user.password_hash
    if not passwords.matches(stored, password) or user is None or user.disabled_at is not None:
        return None
    if stored is not None and passwords.outdated(stored):
        user.password_hash = passwords.make_hash(password)
    return user


def get(db: Session, user_id: str) -> User:
    """One user.

    Raises:
        NotFound: there is none.
    """
    user = db.get(User, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    return user
