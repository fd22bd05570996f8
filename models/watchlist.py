"""Plex watchlists of users who let us ask for what is on them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Timestamps


class Watchlist(Base):
    """A user's watchlist, of who opted in.

    Attributes:
        opted_in_at: what was on the list before is asked for too.
        etag: of the last answer, so that an unchanged list costs nothing.
        checked_at: when it was last read whole; `due_at`: when it is read next.
        error: why it could not be read, a sentence; None: the last time it could.
    """

    __tablename__ = "watchlists"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    opted_in_at: Mapped[datetime]
    etag: Mapped[str | None]
    checked_at: Mapped[datetime | None]
    due_at: Mapped[datetime]
    error: Mapped[str | None]


class WatchlistEntry(Timestamps, Base):
    """A title of a watchlist, kept after it was taken off, so that it is asked for once.

    Attributes:
        rating_key: plex.tv's id of it.
        outcome: `requested`, `followed`, `available`, `refused`, `unknown` (no TMDB id), or `waiting` (quota, or TMDB
            was away: tried again).
        reason: a sentence about it.
    """

    __tablename__ = "watchlist_entries"

    user_id: Mapped[str] = mapped_column(
        ForeignKey("watchlists.user_id", ondelete="CASCADE"), primary_key=True
    )
    rating_key: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    title: Mapped[str]
    year: Mapped[int | None]
    tmdb_id: Mapped[str | None]
    outcome: Mapped[str]
    reason: Mapped[str | None]
    request_id: Mapped[str | None]
