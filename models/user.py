"""Users: accounts with their role, tier and ways to sign in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Timestamps


class User(Timestamps, Base):
    """A person; `role` is one of guest, user, admin, super_admin, `tier` one of standard, premium.

    Attributes:
        email: None if Plex has none of them.
        email_claimed_at: when they entered an address that another user has. They can sign in with it and their own
            password, so that nobody learns whether an address has an account; but no mail is sent there, and it does
            not block the address for its owner.
        plex_id: the account at plex.tv; the only thing that identifies a user who signs in with Plex.
        plex_checked_at: when plex.tv last confirmed that they have access to our server.
        plex_server_id: the server they had access to then; `plex_owner`: whether they own it.
        disabled_at: sign-in is refused since; `disabled_reason` is `admin`, or `plex` if their access to the server
            ended, which a new sign-in with Plex undoes.
        language: of pages, such as `de`; None: that of the browser.
        theme: of pages, `light` or `dark`; None: that of the system.
        download_choice: quality, format and folder as they were remembered for the next download.
        requests_per_days: how much they may ask for, `{"count", "days"}`; None: as much as their role.
        deleted_at: when the account was deleted; the row stays without a name, as other rows refer to it.
    """

    __tablename__ = "users"
    __table_args__ = (
        # Unique among addresses that sign in with a password. Addresses from plex.tv are unverified and may repeat.
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
    language: Mapped[str | None]
    theme: Mapped[str | None]
    requests_per_days: Mapped[dict[str, int] | None] = mapped_column(JSONB(none_as_null=True))
    download_choice: Mapped[dict[str, str] | None] = mapped_column(JSONB(none_as_null=True))

    @property
    def mailbox(self) -> str | None:
        """The address for mails to this user; None if none is known to be theirs."""
        return self.email if self.email_claimed_at is None else None
