"""Where users are told, and each message on its way there."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Timestamps
from models.job import JobRow, job_indexes


class NotificationChannel(Timestamps, Base):
    """A place where a user is told of things, beside the socket.

    Attributes:
        kind: email (the account's address) or apprise.
        url: of Apprise, encrypted (Fernet); None for e-mail. shown: its scheme and host.
        error: why the last message could not be delivered, a sentence; None: it could.
    """

    __tablename__ = "notification_channels"
    __table_args__ = (
        CheckConstraint("kind IN ('email', 'apprise')", name="kind"),
        Index("ix_notification_channels_user", "user_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str]
    name: Mapped[str]
    url: Mapped[str | None]
    shown: Mapped[str | None]
    enabled: Mapped[bool]
    error: Mapped[str | None]


class NotificationPreferences(Base):
    """What a user is told where and when; without a row the defaults of `engine.notifications.preferences`.

    Attributes:
        events: by type of notification the channels, `{"request.available": ["socket", "chn-..."]}`; a type that is
            missing has the default.
        quiet_from, quiet_to: `HH:MM` in `time_zone` (IANA); messages wait until they end.
        digest: none or daily.
    """

    __tablename__ = "notification_preferences"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    events: Mapped[dict[str, Any]]
    quiet_from: Mapped[str | None]
    quiet_to: Mapped[str | None]
    time_zone: Mapped[str | None]
    digest: Mapped[str] = mapped_column(server_default="none")
    updated_at: Mapped[datetime]


class Delivery(JobRow, Base):
    """One message to one channel, about one notification or several.

    Attributes:
        user_id: None for one to a target of the whole installation (`NOTIFY_URLS`), whose digest is `target`.
        kind, shown: of the channel, which may be removed since; `installation` is a kind too.
        type: of the first notification; `test` for a message that is tried.
        dedupe_key: a second delivery with the same key is none.
        handed_over_at: set right before the server is given the message. An e-mail is never sent again after it.
        digest: whether it is the daily one.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        *job_indexes("deliveries"),
        Index("ix_deliveries_list", text("id DESC")),
        Index("ix_deliveries_user", "user_id", text("id DESC")),
        Index(
            "ix_deliveries_open",
            "channel_id",
            postgresql_where=text("ended_at IS NULL AND lease_until IS NULL"),
        ),
    )

    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    channel_id: Mapped[str | None] = mapped_column(
        ForeignKey("notification_channels.id", ondelete="SET NULL")
    )
    kind: Mapped[str]
    shown: Mapped[str]
    type: Mapped[str]
    target: Mapped[str | None]
    dedupe_key: Mapped[str | None] = mapped_column(unique=True)
    handed_over_at: Mapped[datetime | None]
    digest: Mapped[bool] = mapped_column(server_default=text("false"))


class DeliveredNotification(Base):
    """Which notifications a delivery tells of."""

    __tablename__ = "delivered_notifications"

    delivery_id: Mapped[str] = mapped_column(
        ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True
    )
    notification_id: Mapped[str] = mapped_column(
        ForeignKey("notifications.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class ActionLink(Timestamps, Base):
    """A link in a message by which its recipient decides something, once.

    Attributes:
        digest: SHA-256 of its token.
        action: what it offers, such as `approve`. subject_id: of what.
    """

    __tablename__ = "action_links"

    id: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    action: Mapped[str]
    subject_id: Mapped[str]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
