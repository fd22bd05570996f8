"""Logins: one row per signed-in device; its tokens are valid only while the row is."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Timestamps


class Login(Timestamps, Base):
    """A session of a user on a device; its access tokens are valid while the row is neither revoked nor expired.

    Only hashes of refresh tokens are stored. With `previous_hash` and `rotated_at`, a client that lost the answer can
    repeat a rotation for a few seconds; any later use of the previous token counts as theft and ends the session.

    Attributes:
        proven_until: until when the person's last confirmation counts (`engine.identity.confirmation`).
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
