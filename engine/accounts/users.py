"""Users: the first admin, further users, addresses, the check of a password."""

from __future__ import annotations

import hmac
from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from config.settings import Settings
from engine import audit
from engine.audit import Subject
from engine.errors import Conflict, Forbidden, NotFound
from engine.identity import passwords
from engine.permissions import SUPER_ADMIN
from engine.stores import locks
from models.base import new_id
from models.user import User

TIERS = ("standard", "premium")

_now = func.clock_timestamp


def normal_email(text: str) -> str:
    """The form in which an address is stored and compared: trimmed, in lower case."""
    return text.strip().lower()


def is_bootstrapped(db: Session) -> bool:
    """Whether there is a super admin."""
    return db.scalar(select(User.id).where(User.role == SUPER_ADMIN).limit(1)) is not None


def takes_setup_token(settings: Settings) -> bool:
    """Whether the first administrator proves by a token that the server is theirs."""
    return settings.app_env == "production"


def bootstrap(
    db: Session, settings: Settings, *, email: str, password: str, name: str, setup_token: str | None
) -> User:
    """Make the first super admin; any number of calls at once make exactly one.

    Raises:
        ValidationFailed: the password is too easy to guess.
        Conflict: there is one, or the address belongs to somebody.
        Forbidden: in production, without the right setup token.
    """
    _lock_super_admins(db)
    if is_bootstrapped(db):
        raise Conflict("The administrator exists already: sign in instead.")
    if takes_setup_token(settings):
        wanted = settings.resolve_setup_token()
        if not hmac.compare_digest((setup_token or "").encode(), wanted.encode()):
            words = "In production this needs the setup token that the server printed at its first start."
            raise audit.refusal(
                Forbidden(words), "auth.bootstrap", Subject("user", None, normal_email(email))
            )
    return create(db, email=email, password=password, name=name, role=SUPER_ADMIN)


def create(
    db: Session,
    *,
    email: str,
    password: str,
    name: str,
    role: str,
    tier: str = "standard",
    among_all: bool = True,
) -> User:
    """Make a user who signs in with address and password.

    Raises:
        ValidationFailed: the password is too easy to guess.
        Conflict: the address belongs to somebody; for `among_all` see `refuse_taken`.
    """
    password_hash = passwords.chosen(password, name=name, email=email)
    refuse_taken(db, email, among_all=among_all)
    user = User(
        id=new_id("user"),
        email=normal_email(email),
        name=name,
        role=role,
        tier=tier,
        password_hash=password_hash,
    )
    db.add(user)
    flush_address(db)
    db.refresh(user)
    return user


def refuse_taken(db: Session, email: str, *, besides: str | None = None, among_all: bool = False) -> None:
    """Make sure that an address is free; who takes it at the same moment is found by `flush_address`.

    Args:
        db: for reading.
        email: in any spelling.
        besides: a user who may have it.
        among_all: also look at accounts without a password, whose address plex.tv told.

    Raises:
        Conflict: the address belongs to somebody.
    """
    if is_taken(db, email, besides=besides, among_all=among_all):
        raise Conflict("This e-mail address is taken.")


def is_taken(db: Session, email: str, *, besides: str | None = None, among_all: bool = False) -> bool:
    """Whether an address belongs to somebody, as for `refuse_taken`; who only claims it keeps nobody from it."""
    query = select(User.id).where(
        func.lower(User.email) == normal_email(email), User.email_claimed_at.is_(None)
    )
    if not among_all:
        query = query.where(User.password_hash.is_not(None))
    if besides is not None:
        query = query.where(User.id != besides)
    return db.scalar(query.limit(1)) is not None


def flush_address(db: Session) -> None:
    """Write a new address.

    Raises:
        Conflict: another user has just taken it.
    """
    try:
        db.flush()
    except IntegrityError:
        raise Conflict("This e-mail address is taken.") from None


def check_password(db: Session, email: str, password: str) -> User | None:
    """The enabled user with this address and password: whose address it is, else who claimed it last.

    An unknown address, one that is claimed, an account without a password, a disabled one and a wrong password all take
    the same time, and all but a claimant's own password give None.
    """
    found = None
    for user in (_signing_in(db, email, claimed=False), _signing_in(db, email, claimed=True)):
        stored = None if user is None else user.password_hash
        if passwords.matches(stored, password) and user is not None and found is None:
            found = user
    if found is None or found.disabled_at is not None:
        return None
    if found.password_hash is not None and passwords.outdated(found.password_hash):
        found.password_hash = passwords.make_hash(password)
    return found


def _signing_in(db: Session, email: str, *, claimed: bool) -> User | None:
    """Who signs in with this address, in any spelling, and a password."""
    query = select(User).where(func.lower(User.email) == normal_email(email), User.password_hash.is_not(None))
    ours = User.email_claimed_at.is_not(None) if claimed else User.email_claimed_at.is_(None)
    newest = query.where(ours).order_by(User.email_claimed_at.desc(), User.id.desc())
    return db.scalars(newest.limit(1)).one_or_none()


def get(db: Session, user_id: str) -> User:
    """One user.

    Raises:
        NotFound: there is no such user, or they are deleted.
    """
    user = db.get(User, user_id)
    if user is None or user.deleted_at is not None:
        raise NotFound("There is no such user.")
    return user


def is_last_super_admin(db: Session, user: User) -> bool:
    """Whether nobody but this user could look after everything; holds until the end of the unit of work.

    To be asked before a user is demoted, disabled or deleted, by whomever.
    """
    if user.role != SUPER_ADMIN:
        return False
    _lock_super_admins(db)
    others = select(User.id).where(User.role == SUPER_ADMIN, User.disabled_at.is_(None), User.id != user.id)
    return db.scalar(others.limit(1)) is None


def _lock_super_admins(db: Session) -> None:
    """Serialise changes of who is super admin, by an advisory lock."""
    locks.hold(db, locks.Lock.SUPER_ADMINS)


def names(db: Session, user_ids: Collection[str]) -> dict[str, str]:
    """The names of some users by their ids; of one who is deleted there is none."""
    query = select(User.id, User.name).where(User.id.in_(user_ids), User.deleted_at.is_(None))
    return {row.id: row.name for row in db.execute(query)}
