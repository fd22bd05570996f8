"""Notifications: what a person is to be told, one row each."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Timestamps


class Notification(Timestamps, Base):
    """Something that happened, for one person.

    Attributes:
        type: a word for programs, such as `security.sign_in`.
        subject_kind, subject_id: what it is about, where that is an object of ours.
        dedupe_key: a second notification of a person with the same key is none.
    """

    __tablename__ = "notifications"
    __table_args__ = (
        UniqueConstraint("user_id", "dedupe_key"),
        Index("ix_notifications_list", "user_id", text("id DESC")),
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
