"""Users: who may sign in, and as what."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Timestamps


class User(Timestamps, Base):
    """A person; `role` is one of guest, user, admin, super_admin, `tier` one of standard, premium.

    Attributes:
        email: None where Plex tells none.
        email_claimed_at: when this one gave an address as theirs that was another's. It signs this one in, with their
            own password, so that nobody learns who has an account; but no mail goes there, and it keeps nobody from it.
        plex_id: the account at plex.tv; the only thing that a person who signs in with Plex is known by.
        plex_checked_at: when plex.tv last said that he has access to our server.
        plex_server_id: the server to which he had access then; `plex_owner`: whether it is his.
        disabled_at: may not sign in since; `disabled_reason` is `admin`, or `plex` where his access to the server
            ended, which a new sign-in mends.
        deleted_at: the account is gone; the row stays behind what it owns, without a name.
    """

    __tablename__ = "users"
    __table_args__ = (
        # An address signs one person in. What plex.tv says of somebody's address proves nothing and may repeat.
        Index(
            "uq_users_email",
            func.lower(text("email")),
            unique=True,
            postgresql_where=text("password_hash IS NOT NULL AND email_claimed_at IS NULL"),
        ),
        Index("ix_users_email", func.lower(text("email"))),
        CheckConstraint("role IN ('guest', 'user', 'admin', 'super_admin')", name="role"),
        CheckConstraint("tier IN ('standard', 'premium')", name="tier"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    email: Mapped[str | None]
    email_claimed_at: Mapped[datetime | None]
    name: Mapped[str]
    role: Mapped[str]
    tier: Mapped[str] = mapped_column(server_default="standard")
    password_hash: Mapped[str | None]
    plex_id: Mapped[str | None] = mapped_column(unique=True)
    plex_username: Mapped[str | None]
    plex_avatar: Mapped[str | None]
    plex_checked_at: Mapped[datetime | None]
    plex_server_id: Mapped[str | None]
    plex_owner: Mapped[bool | None]
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None]
    deleted_at: Mapped[datetime | None]
    last_login_at: Mapped[datetime | None]

    @property
    def mailbox(self) -> str | None:
        """Where mails to this person go; None where no address is known to be theirs."""
        return self.email if self.email_claimed_at is None else None
