"""Closing an account: sessions, keys, resets and invitations end for good, also when it is opened again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from engine.identity import api_keys, sessions
from models.invitation import Invitation
from models.password_reset import PasswordReset
from models.user import User

_now = func.clock_timestamp


@dataclass(frozen=True)
class Ended:
    """How many sessions and API keys ended."""

    sessions: int
    keys: int


def close(db: Session, user: User, reason: Literal["admin", "plex"]) -> Ended:
    """Disable a user, whose row is locked; ends their sessions, keys, resets and open invitations for good."""
    user.disabled_at, user.disabled_reason = _now(), reason
    db.flush()
    ended = Ended(sessions.revoke_all(db, user.id), api_keys.revoke_all(db, user.id))
    forget_resets(db, user.id)
    take_back_invitations(db, user.id)
    return ended


def forget_resets(db: Session, user_id: str) -> None:
    """Delete the password resets of a user: mailed to a former address, or before the password changed."""
    db.execute(delete(PasswordReset).where(PasswordReset.user_id == user_id))


def take_back_invitations(db: Session, user_id: str) -> None:
    """Revoke the open invitations of a user: each was their word for somebody.

    What is being accepted this very moment is passed over: it waits for us, and then asks who invited.
    """
    mine = select(Invitation.id).where(
        Invitation.invited_by == user_id, Invitation.accepted_at.is_(None), Invitation.revoked_at.is_(None)
    )
    locked = mine.with_for_update(skip_locked=True)
    db.execute(update(Invitation).where(Invitation.id.in_(locked)).values(revoked_at=_now()))
