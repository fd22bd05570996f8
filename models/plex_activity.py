"""Playback activity in Plex: the history that the statistics are computed from."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class PlexActivity(Base):
    """One action: `event` is play, pause, resume, stop, scrobble or rate.

    Attributes:
        account_id, account_name: the Plex account; `user_id` is the MediaNest user it belongs to, if any.
        title: the display title, such as `The 100 - S01E02 - Earth Skills`.
        webhook_id: the message it comes from; unique, so that a message makes one row.
    """

    __tablename__ = "plex_activities"
    __table_args__ = (
        Index("ix_plex_activities_list", text("at DESC"), text("id DESC")),
        Index("ix_plex_activities_user", "user_id", text("at DESC")),
        Index("ix_plex_activities_item", "item_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    server_id: Mapped[str | None]
    event: Mapped[str]
    account_id: Mapped[str | None]
    account_name: Mapped[str | None]
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    item_id: Mapped[str | None] = mapped_column(ForeignKey("media_items.id", ondelete="SET NULL"))
    rating_key: Mapped[str | None]
    media_type: Mapped[str | None]
    title: Mapped[str]
    player: Mapped[str | None]
    local: Mapped[bool | None]
    rating: Mapped[float | None]
    view_offset: Mapped[int | None]
    at: Mapped[datetime]
    webhook_id: Mapped[str | None] = mapped_column(unique=True)
