"""Users: who may sign in, and as what."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Timestamps


class User(Timestamps, Base):
    """A person; `role` is one of guest, user, admin, super_admin, `tier` one of standard, premium."""

    __tablename__ = "users"
    __table_args__ = (
        Index("uq_users_email", func.lower(text("email")), unique=True),
        CheckConstraint("role IN ('guest', 'user', 'admin', 'super_admin')", name="role"),
        CheckConstraint("tier IN ('standard', 'premium')", name="tier"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    email: Mapped[str]
    name: Mapped[str]
    role: Mapped[str]
    tier: Mapped[str] = mapped_column(server_default="standard")
    password_hash: Mapped[str | None]
    disabled_at: Mapped[datetime | None]
    last_login_at: Mapped[datetime | None]
