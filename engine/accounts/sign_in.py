"""The one sign-in: whatever proved the identity, the session begins here, is audited, and its owner is told."""

from __future__ import annotations

from typing import Literal

from sqlalchemy.orm import Session

from config.settings import Settings
from engine import audit
from engine.accounts import users
from engine.accounts.sign_in_notices import tell_of_sign_in
from engine.audit import Actor, Subject
from engine.errors import Unauthorized
from engine.identity import sessions
from engine.identity.sessions import Device, SignedIn
from engine.runtime import Runtime
from models.user import User

Method = Literal["password", "bootstrap", "plex", "invitation"]


def sign_in(
    db: Session,
    settings: Settings,
    user: User,
    *,
    method: Method,
    device: Device,
    remember_me: bool = False,
) -> SignedIn:
    """Begin a session of a user who has proved their identity, within the unit of work that saw the proof.

    Raises:
        Unauthorized: they were disabled or deleted, or their password changed, since that proof was looked at.
    """
    started = sessions.start(db, settings, user, remember_me=remember_me, device=device)
    actor = Actor(user.id, started.login.id, device.address)
    audit.record(
        db,
        "auth.signed_in",
        actor,
        Subject("user", user.id, user.name),
        method=method,
        userAgent=started.login.user_agent,
    )
    tell_of_sign_in(db, settings, user, started.login)
    return started


def by_password(
    runtime: Runtime, *, email: str, password: str, remember_me: bool, device: Device
) -> SignedIn:
    """Sign in with e-mail address and password, in a unit of work of its own; a failure stays in the audit log.

    Raises:
        Unauthorized: one of them is wrong.
    """
    with runtime.unit_of_work() as db:
        user = users.check_password(db, email, password)
        if user is not None:
            return sign_in(
                db, runtime.settings, user, method="password", device=device, remember_me=remember_me
            )
        refuse(db, email, device)
    raise Unauthorized("E-mail address or password is wrong.")


def refuse(db: Session, email: str, device: Device) -> None:
    """Write down a sign-in with a password that failed; to be committed although the request is refused."""
    audit.record(
        db,
        "auth.sign_in_failed",
        Actor(address=device.address),
        Subject("user", None, email),
        outcome="failure",
        method="password",
    )
