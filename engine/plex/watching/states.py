"""Watch states of films and episodes, and of seasons and shows as the sums of their episodes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Subquery, and_, case, func, literal, select, union_all
from sqlalchemy.orm import Session, aliased

from models.media import MediaItem, WatchState
from models.plex_library import PlexSection

_LEAVES = ("movie", "episode")
# Events of Plex carry a position without a time: it is the time of receipt.
_LAST = func.coalesce(
    WatchState.last_viewed_at, case((WatchState.view_offset.is_not(None), WatchState.updated_at))
)
_ABOVE = {"season": MediaItem.parent_key, "show": MediaItem.grandparent_key}


@dataclass(frozen=True, slots=True)
class Seen:
    """The watch state of a user and an item.

    Attributes:
        views: times watched to the end; of a season or show: the number of its watched episodes.
        offset: position in milliseconds, where it is partly watched.
    """

    views: int = 0
    offset: int | None = None
    last_viewed_at: datetime | None = None

    def watched(self, kind: str, leaves: int | None) -> bool:
        """Whether it is watched; of a season or show: all its episodes."""
        return self.views > 0 if kind in _LEAVES else bool(leaves) and self.views >= (leaves or 0)


NEVER = Seen()


def seen_by(user_id: str, server_id: str, types: Collection[str]) -> Subquery:
    """A subquery of a user's watch states by item type: `id`, `views`, `whole` (how many), `last_viewed_at`."""
    return union_all(*_parts(user_id, server_id, types)).subquery("seen")


def of_items(db: Session, user_id: str, server_id: str, items: Sequence[Any]) -> Mapping[str, Seen]:
    """The watch states of the items of a page; items without any are missing."""
    found: dict[str, Seen] = {}
    leaves = [item.id for item in items if item.type in _LEAVES]
    if leaves:
        query = select(WatchState.item_id, WatchState.view_count, WatchState.view_offset, _LAST).where(
            WatchState.user_id == user_id, WatchState.item_id.in_(leaves)
        )
        found.update({row[0]: Seen(row[1], row[2], row[3]) for row in db.execute(query)})
    for kind in _ABOVE:
        by_key = {item.rating_key: item.id for item in items if item.type == kind}
        if by_key:
            query = _sums(user_id, server_id, kind).where(_ABOVE[kind].in_(by_key))
            found.update({by_key[row[0]]: Seen(row[1], None, row[2]) for row in db.execute(query)})
    return found


def begun(db: Session, user_id: str, server_id: str, limit: int) -> Sequence[str]:
    """The ids of films and episodes that a user is in the middle of, the last watched first.

    Libraries that are hidden in Plex are left out.
    """
    section = and_(PlexSection.server_id == MediaItem.server_id, PlexSection.key == MediaItem.section_key)
    query = select(MediaItem.id).join_from(WatchState, MediaItem).join(PlexSection, section)
    query = query.where(
        WatchState.user_id == user_id,
        WatchState.view_offset > 0,
        MediaItem.server_id == server_id,
        MediaItem.type.in_(_LEAVES),
        MediaItem.deleted_at.is_(None),
        PlexSection.hidden.is_(False),
    )
    return db.scalars(query.order_by(_LAST.desc().nulls_last(), MediaItem.id).limit(limit)).all()


def _parts(user_id: str, server_id: str, types: Collection[str]) -> list[Any]:
    parts: list[Any] = []
    leaves = [kind for kind in types if kind in _LEAVES]
    if leaves:
        parts.append(
            select(
                WatchState.item_id.label("id"),
                WatchState.view_count.label("views"),
                literal(1).label("whole"),
                _LAST.label("last_viewed_at"),
            )
            .join(MediaItem, MediaItem.id == WatchState.item_id)
            .where(WatchState.user_id == user_id, MediaItem.type.in_(leaves))
        )
    for kind in types:
        if kind in _ABOVE:
            sums, above = _sums(user_id, server_id, kind).subquery(), aliased(MediaItem)
            query = select(above.id, sums.c.views, above.leaf_count.label("whole"), sums.c.last_viewed_at)
            same = and_(
                above.server_id == server_id, above.rating_key == sums.c.key, above.deleted_at.is_(None)
            )
            parts.append(query.join_from(sums, above, same))
    return parts


def _sums(user_id: str, server_id: str, kind: str) -> Any:
    """By rating key of each season or show: the number of watched episodes, and the time of the last view."""
    key = _ABOVE[kind]
    return (
        select(
            key.label("key"),
            func.count().filter(WatchState.view_count > 0).label("views"),
            func.max(_LAST).label("last_viewed_at"),
        )
        .join(MediaItem, MediaItem.id == WatchState.item_id)
        .where(
            WatchState.user_id == user_id,
            MediaItem.server_id == server_id,
            MediaItem.type == "episode",
            MediaItem.deleted_at.is_(None),
            key.is_not(None),
        )
        .group_by(key)
    )
