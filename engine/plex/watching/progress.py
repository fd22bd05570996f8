"""Writes watch states from events; an older event never overwrites a newer one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.media import WatchState

# A view that the server has already reported: its time and ours are that close, and no title is that short.
SAME_VIEW = timedelta(seconds=60)
WATCHED_SHARE = 0.9  # Plex counts an item as watched from this share on


def viewed(db: Session, user_id: str, item_id: str, at: datetime) -> None:
    """Count one more view of an item, and clear the position."""
    known = and_(
        WatchState.last_viewed_at.is_not(None),
        WatchState.last_viewed_at.between(at - SAME_VIEW, at + SAME_VIEW),
    )
    changes = {
        "view_count": WatchState.view_count + case((known, 0), else_=1),
        "view_offset": case((WatchState.updated_at <= at, None), else_=WatchState.view_offset),
        "last_viewed_at": func.greatest(WatchState.last_viewed_at, at),
        "updated_at": func.greatest(WatchState.updated_at, at),
    }
    _put(db, user_id, item_id, at, {"view_count": 1, "last_viewed_at": at}, changes)


def reached(db: Session, user_id: str, item_id: str, offset: int, duration: int | None, at: datetime) -> None:
    """Set the position to `offset` milliseconds; cleared close to the end."""
    place = None if duration and offset >= WATCHED_SHARE * duration else offset
    changes = {"view_offset": place, "updated_at": at}
    _put(db, user_id, item_id, at, {"view_offset": place}, changes, unless_newer=True)


def rated(db: Session, user_id: str, item_id: str, rating: float | None, at: datetime) -> None:
    """Set the rating, 0 to 10, unless there is a newer one; None removes it."""
    _put(db, user_id, item_id, at, {"rating": rating}, {"rating": rating})


def _put(
    db: Session,
    user_id: str,
    item_id: str,
    at: datetime,
    first: dict[str, Any],
    changes: dict[str, Any],
    *,
    unless_newer: bool = False,
) -> None:
    nothing = {"view_count": 0, "view_offset": None, "rating": None, "last_viewed_at": None}
    values = {**nothing, **first, "user_id": user_id, "item_id": item_id, "updated_at": at}
    db.execute(
        insert(WatchState)
        .values(**values)
        .on_conflict_do_update(
            index_elements=["user_id", "item_id"],
            set_=changes,
            where=WatchState.updated_at <= at if unless_newer else None,
        )
    )
