"""Step-up authentication: proof that the person acts, not somebody with their token; checked where the effect is.

Signing in proves it for `CONFIRMATION_SECONDS`, bound to the session, and so do `by_password` here and
`plex_sign_in.confirm`. Renewing tokens does not, and an API key never stands for a person.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from config.settings import Settings
from engine import audit
from engine.audit import Actor, Subject
from engine.errors import ConfirmationRequired, Conflict, Forbidden, Unauthorized
from engine.identity import passwords, sessions
from engine.identity.sessions import Identity
from models.user import User

_KEY_PREFIX = "key-"


class WrongPassword(Unauthorized):
    """The password given as proof is not the user's."""


def require_person(actor: Actor, action: str, subject: Subject | None = None, /, **tried: Any) -> None:
    """Refuse unless the actor is a person who proved their presence within `CONFIRMATION_SECONDS`.

    To be called by every engine function that makes or unmakes admins, changes how somebody signs in, issues a
    lasting credential, or configures a trusted server; `action`, `subject` and `tried` go into the audit log.

    Raises:
        Forbidden: an API key asks.
        ConfirmationRequired: the proof is missing or too old.
    """
    if actor.via is not None and actor.via.startswith(_KEY_PREFIX):
        refused: Forbidden = Forbidden("This takes a person and can't be done with an API key: sign in.")
        raise audit.refusal(refused, action, subject, reason="API key", **tried)
    if not actor.proven:
        refused = ConfirmationRequired(
            "Prove first that it is you: POST /api/v1/auth/confirm with your password, or with the pinId of a Plex PIN "
            "that you have claimed. Then try again."
        )
        raise audit.refusal(refused, action, subject, reason="not confirmed", **tried)


def by_password(db: Session, settings: Settings, mine: Identity, password: str, *, actor: Actor) -> datetime:
    """Prove a person anew by the password of the account; returns until when that counts on this device.

    Raises:
        WrongPassword: it is another.
        Conflict: the account has none.
    """
    user = db.get_one(User, mine.user_id)
    if user.password_hash is None:
        raise Conflict("Your account has no password: confirm with the pinId of a Plex PIN.")
    if not passwords.matches(user.password_hash, password):
        raise WrongPassword("The password is wrong.")
    return note(db, settings, mine, actor, method="password")


def note(db: Session, settings: Settings, mine: Identity, actor: Actor, *, method: str) -> datetime:
    """Record and audit a proof that was just verified; returns until when it is valid."""
    until = sessions.prove(db, settings, mine.session_id)
    name = db.get_one(User, mine.user_id).name
    audit.record(db, "auth.confirmed", actor, Subject("user", mine.user_id, name), method=method)
    return until
