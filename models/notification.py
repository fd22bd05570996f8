"""Notifications to users, one row per recipient."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Timestamps


class Notification(Timestamps, Base):
    """A notification to one user.

    Attributes:
        type: machine-readable, such as `security.sign_in`.
        subject_kind, subject_id: the object it is about, if any.
        dedupe_key: unique per user: a second notification with the same key is not created.
        group_key: notifications of a user and type with the same key that follow each other within minutes are one row.
        count: how many it stands for.
        details: what its words are made of, so that they can be written in another language, and anew for a group.
    """

    __tablename__ = "notifications"
    __table_args__ = (
        UniqueConstraint("user_id", "dedupe_key"),
        Index("ix_notifications_list", "user_id", text("id DESC")),
        Index(
            "ix_notifications_group",
            "user_id",
            "group_key",
            postgresql_where=text("group_key IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    type: Mapped[str]
    title: Mapped[str]
    message: Mapped[str]
    subject_kind: Mapped[str | None]
    subject_id: Mapped[str | None]
    read_at: Mapped[datetime | None]
    dedupe_key: Mapped[str | None]
    group_key: Mapped[str | None]
    count: Mapped[int] = mapped_column(server_default=text("1"))
    details: Mapped[dict[str, Any] | None]
    correlation_id: Mapped[str | None]
