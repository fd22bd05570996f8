"""Plex watchlists of users who have what is on them asked for."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Timestamps

OUTCOMES = ("requested", "followed", "available", "refused", "unknown", "waiting")


class Watchlist(Base):
    """A user's watchlist, of who ever opted in.

    Attributes:
        opted_in_at: when they did; None: they have opted out since.
        etag: of the last answer, so that an unchanged list costs one short answer.
        checked_at: when it was last known whole; `due_at`: when it is looked at next.
        error: why it could not be read, a sentence; None: the last time it could.
    """

    __tablename__ = "watchlists"
    __table_args__ = (Index("ix_watchlists_due", "due_at", postgresql_where=text("opted_in_at IS NOT NULL")),)

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    opted_in_at: Mapped[datetime | None]
    etag: Mapped[str | None]
    checked_at: Mapped[datetime | None]
    due_at: Mapped[datetime]
    error: Mapped[str | None]


class WatchlistEntry(Timestamps, Base):
    """A title of a watchlist, kept after it was taken off, so that it is asked for once.

    Attributes:
        rating_key: Plex's id of it, the same everywhere.
        type: movie or tv.
        outcome: `requested`, `followed`, `available`, `refused` by a rule, `unknown` (Plex or TMDB can't say what it
            is), or `waiting` (for the quota, for TMDB, or its turn), until `due_at`.
        reason: a sentence about it.
        request_id: of the request that it led to, which may have been deleted since.
    """

    __tablename__ = "watchlist_entries"
    __table_args__ = (
        Index("ix_watchlist_entries_newest", "user_id", "created_at"),
        Index(
            "ix_watchlist_entries_waiting",
            "user_id",
            "due_at",
            postgresql_where=text("outcome = 'waiting'"),
        ),
    )

    user_id: Mapped[str] = mapped_column(
        ForeignKey("watchlists.user_id", ondelete="CASCADE"), primary_key=True
    )
    rating_key: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    title: Mapped[str]
    year: Mapped[int | None]
    tmdb_id: Mapped[str | None]
    outcome: Mapped[str]
    due_at: Mapped[datetime | None]
    reason: Mapped[str | None]
    request_id: Mapped[str | None]
