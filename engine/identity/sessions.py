"""Sessions: one row a signed-in device, which its tokens refer to; a revocation holds from the next request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, func, or_, select, update
from sqlalchemy.orm import Session

from config.settings import Settings
from engine import audit
from engine.audit import Actor, Subject
from engine.errors import NotFound, Unauthorized
from engine.identity.refresh_tokens import RefreshToken
from engine.permissions import Permission, permissions_of
from models.base import new_id
from models.login import Login
from models.session import fetch_all
from models.user import User

GRACE = timedelta(seconds=10)  # a client whose answer was lost may repeat a rotation for so long
_MAX_USER_AGENT = 400

_now = func.clock_timestamp
_ALIVE = (Login.revoked_at.is_(None), Login.expires_at > _now(), User.disabled_at.is_(None))
_login, _user = Login.__table__.c, User.__table__.c  # plain columns: every request asks this
_IDENTITY = (
    select(
        _login.id,
        _login.user_id,
        _user.role,
        _user.tier,
        func.coalesce(_login.proven_until > _now(), False).label("proven"),
    )
    .join_from(Login.__table__, User.__table__, _user.id == _login.user_id)
    .where(_login.id == bindparam("login_id"))
    .where(_login.revoked_at.is_(None), _login.expires_at > _now(), _user.disabled_at.is_(None))
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who acts, with which permissions at this moment: a user on a device, or a program with the user's API key.

    Of `login_id` and `key_id` exactly one is set. `proven`: on this device the person has lately proved to be there.
    """

    user_id: str
    login_id: str | None
    role: str
    permissions: frozenset[Permission]
    tier: str = "standard"
    key_id: str | None = None
    proven: bool = False

    @property
    def session_id(self) -> str:
        """The session, for operations that no API key may use."""
        assert self.login_id is not None
        return self.login_id

    @property
    def via(self) -> str:
        """The session or the key."""
        return self.key_id or self.session_id


@dataclass(frozen=True)
class Device:
    """Where a request comes from, as far as it says."""

    user_agent: str | None
    address: str | None


@dataclass(frozen=True)
class SignedIn:
    """A session right after sign-in or renewal; `refresh_token` in the clear, of which only a hash is stored."""

    user: User
    login: Login
    refresh_token: str


def start(db: Session, settings: Settings, user: User, *, remember_me: bool, device: Device) -> SignedIn:
    """Begin a session of a user on a device, for 7 days, or 30 with `remember_me` (settings).

    The caller has just verified the user's identity.

    Raises:
        Unauthorized: the user was disabled or deleted, or their password changed, since the unit of work read them.
    """
    _hold(db, user)
    token = RefreshToken.make(new_id("ses"))
    login = Login(
        id=token.login_id,
        user_id=user.id,
        refresh_hash=token.digest,
        remember_me=remember_me,
        expires_at=_now() + _life(settings, remember_me),
        last_used_at=_now(),
        proven_until=_now() + _proof(settings),
        **_described(device),
    )
    user.last_login_at = _now()
    db.add(login)
    db.flush()
    db.refresh(user)
    return SignedIn(user, login, token.text(settings))


def _hold(db: Session, user: User) -> None:
    """Lock a user, so that ending all their sessions comes wholly before or wholly after the start of this one."""
    db.flush()
    proved = user.password_hash
    db.refresh(user, with_for_update=True)
    if user.disabled_at is not None or user.deleted_at is not None or user.password_hash != proved:
        raise Unauthorized("This account has just changed: sign in again.")


def find(db: Session, login_id: str) -> Identity | None:
    """Who a session belongs to; None once it is revoked or expired, or its user disabled or deleted."""
    rows = fetch_all(db, _IDENTITY, {"login_id": login_id})
    if not rows:
        return None
    (row,) = rows
    return Identity(row.user_id, row.id, row.role, permissions_of(row.role), row.tier, proven=row.proven)


def prove(db: Session, settings: Settings, login_id: str) -> datetime:
    """Record a new proof of the person on a session; returns until when it is valid.

    Raises:
        Unauthorized: the session is over.
    """
    proven = (
        update(Login)
        .where(Login.id == login_id, Login.revoked_at.is_(None), Login.expires_at > _now())
        .values(proven_until=_now() + _proof(settings))
        .returning(Login.proven_until)
    )
    until = db.scalar(proven)
    if until is None:
        raise Unauthorized("This session is over: sign in again.")
    return until


def renew(db: Session, settings: Settings, text: str, device: Device) -> SignedIn | None:
    """Exchange a refresh token for its successor and prolong the session, up to `SESSION_MAX_SECONDS` from sign-in.

    The token before the current one gives the same answer again for 10 seconds. Any later use of an old one
    means that two parties hold it: the session is revoked. None where there is nothing to renew; the caller
    commits in either case.
    """
    token = RefreshToken.parse(settings, text)
    if token is None:
        return None
    found = db.execute(
        select(Login, User, (Login.rotated_at > _now() - GRACE).label("in_grace"))
        .join(User, User.id == Login.user_id)
        .where(Login.id == token.login_id, *_ALIVE)
        .with_for_update(of=Login)
    ).first()
    if found is None:
        return None
    login, user, in_grace = found
    successor = token.successor(settings)
    if token.digest == login.refresh_hash:
        login.previous_hash, login.refresh_hash = token.digest, successor.digest
        login.rotated_at = _now()
        _use(login, settings, device)
        db.flush()
    elif not (token.digest == login.previous_hash and in_grace):
        login.revoked_at = _now()
        thief_or_owner = Actor(address=device.address)
        subject = Subject("user", user.id, user.name)
        audit.record(db, "auth.refresh_reused", thief_or_owner, subject, outcome="denied", session=login.id)
        return None
    return SignedIn(user, login, successor.text(settings))


def prolong(db: Session, settings: Settings, login_id: str, device: Device) -> Login | None:
    """Note that a session is in use, and prolong it, up to `SESSION_MAX_SECONDS` from sign-in; None once it is over."""
    login = db.scalars(
        select(Login).join(User, User.id == Login.user_id).where(Login.id == login_id, *_ALIVE)
    ).one_or_none()
    if login is not None:
        _use(login, settings, device)
        db.flush()
        db.refresh(login)
    return login


def owner_of(settings: Settings, text: str) -> str | None:
    """The login id that a refresh token of ours names; the session may be over."""
    token = RefreshToken.parse(settings, text)
    return None if token is None else token.login_id


def listing(db: Session, user_id: str) -> Sequence[Login]:
    """The live sessions of a user, the last used first."""
    query = select(Login).join(User, User.id == Login.user_id).where(Login.user_id == user_id, *_ALIVE)
    return db.scalars(query.order_by(Login.last_used_at.desc(), Login.id.desc()).limit(500)).all()


def revoke(db: Session, login_id: str, *, user_id: str) -> Login:
    """End one session of a user.

    Raises:
        NotFound: they have no such live session.
    """
    query = select(Login).join(User, User.id == Login.user_id).where(Login.id == login_id, *_ALIVE)
    login = db.scalars(query.where(Login.user_id == user_id).with_for_update(of=Login)).one_or_none()
    if login is None:
        raise NotFound("There is no such session.")
    login.revoked_at = _now()
    db.flush()
    return login


def revoke_others(db: Session, *, user_id: str, keep: str) -> int:
    """End all sessions of a user but one; returns how many ended."""
    ended = db.execute(
        update(Login)
        .where(
            Login.user_id == user_id, Login.id != keep, Login.revoked_at.is_(None), Login.expires_at > _now()
        )
        .values(revoked_at=_now())
        .returning(Login.id),
        execution_options={"synchronize_session": False},
    )
    return len(ended.all())


def revoke_all(db: Session, user_id: str) -> int:
    """End all sessions of a user; returns how many ended."""
    return revoke_others(db, user_id=user_id, keep="")


def forget_old(db: Session, age: timedelta) -> None:
    """Drop sessions that have been over for longer than `age`."""
    over = _now() - age
    db.execute(delete(Login).where(or_(Login.expires_at < over, Login.revoked_at < over)))


def _use(login: Login, settings: Settings, device: Device) -> None:
    life = _now() + _life(settings, login.remember_me)
    login.last_used_at = _now()
    login.expires_at = func.least(life, login.created_at + _longest(settings))
    for name, value in _described(device).items():
        setattr(login, name, value)


def _life(settings: Settings, remember_me: bool) -> timedelta:
    """The expiry of a session from now on, unless it is renewed; bounded by `SESSION_MAX_SECONDS`."""
    seconds = settings.remember_me_seconds if remember_me else settings.refresh_token_seconds
    return min(timedelta(seconds=seconds), _longest(settings))


def _longest(settings: Settings) -> timedelta:
    """The longest life of a session, however often it is renewed."""
    return timedelta(seconds=settings.session_max_seconds)


def _proof(settings: Settings) -> timedelta:
    return timedelta(seconds=settings.confirmation_seconds)


def _described(device: Device) -> dict[str, str | None]:
    agent = device.user_agent and device.user_agent.replace("\0", "")[:_MAX_USER_AGENT]
    return {"user_agent": agent or None, "address": device.address}
