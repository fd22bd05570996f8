"""Invitations to people who have no Plex account."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Timestamps


class Invitation(Timestamps, Base):
    """A link with which one account can be created; only the hash of its token is stored.

    Attributes:
        accepted_by: the account that was created with it.
        revoked_at: when an admin revoked it.
    """

    __tablename__ = "invitations"
    __table_args__ = (CheckConstraint("role IN ('guest', 'user', 'admin', 'super_admin')", name="role"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    email: Mapped[str]
    role: Mapped[str]
    invited_by: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    token_hash: Mapped[str] = mapped_column(unique=True)
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    accepted_by: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    revoked_at: Mapped[datetime | None]
