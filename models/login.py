"""Logins: one row a signed-in device, the truth behind its tokens."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Timestamps


class Login(Timestamps, Base):
    """A session of a user on a device; its access tokens hold while the row is neither revoked nor expired.

    Only hashes of refresh tokens are stored. `previous_hash` with `rotated_at` lets a client whose answer was lost
    repeat a rotation for a few seconds; any later use of it is theft and ends the session.

    Attributes:
        proven_until: until when it counts as known that the person acts, and not somebody who has the tokens.
    """

    __tablename__ = "logins"

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    refresh_hash: Mapped[str] = mapped_column(index=True)
    previous_hash: Mapped[str | None] = mapped_column(index=True)
    rotated_at: Mapped[datetime | None]
    remember_me: Mapped[bool]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime]
    user_agent: Mapped[str | None]
    address: Mapped[str | None]
    proven_until: Mapped[datetime | None]
