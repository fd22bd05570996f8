"""Queries over the catalogue: pages, order, single items; from PostgreSQL alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Select, func, select, union_all
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from engine.errors import NotFound
from engine.paging import Page
from engine.plex.catalogue import filters
from engine.plex.catalogue.current import Catalogue, remembered
from engine.plex.catalogue.filters import Wanted
from engine.plex.watching import states as watch_states
from models.media import MediaItem
from models.plex_library import PlexSection

TYPES = ("movie", "show", "season", "episode")
_ONE_OF = func.coalesce(MediaItem.parent_key, MediaItem.id)  # of the episodes of a season
_EPISODES_READ, _MOST_READ = 20, 5000  # for each season, and in all, before all seasons are looked through
_DIRECTIONS = {
    "addedAt": "desc",
    "title": "asc",
    "year": "desc",
    "rating": "desc",
    "duration": "desc",
    "releasedAt": "desc",
    "lastViewedAt": "desc",
}  # and the usual direction of each
SORTS = tuple(word for name in _DIRECTIONS for word in (name, f"{name}:asc", f"{name}:desc"))
_COLUMNS: dict[str, Any] = {
    "addedAt": MediaItem.added_at,
    "title": MediaItem.sort_title,
    "year": MediaItem.year,
    "rating": MediaItem.rating,
    "duration": MediaItem.duration,
    "releasedAt": MediaItem.released,
}
MOST_CHILDREN = 2000

# What lists show; the rest of a row is only read for one item.
SHOWN = tuple(
    column
    for name, column in MediaItem.__mapper__.columns.items()
    if name not in {"guid", "hash", "listed_hash", "file", "files", "search", "created_at"}
)


def listing(
    db: Session, catalogue: Catalogue, user_id: str, wanted: Wanted, *, sort: str, page: int, limit: int
) -> Page[Any]:
    """A page of items; the order is total, so that each item is on one page.

    Args:
        db: a session.
        catalogue: the catalogue.
        user_id: whose watch state filters and sorts.
        wanted: which items.
        sort: one of `SORTS`.
        page: from 1.
        limit: items a page.
    """
    if not wanted.sections or not wanted.types:
        return Page([], page, limit, 0)
    ids = db.scalars(_ids(catalogue, user_id, wanted, sort, page, limit)).all()
    total = len(ids) if page == 1 and len(ids) < limit else _total(db, catalogue, user_id, wanted)
    return Page(rows(db, ids), page, limit, total)


def get(db: Session, catalogue: Catalogue, item_id: str) -> MediaItem:
    """One item, with its files; also one that the server no longer has.

    Raises:
        NotFound: there is none.
    """
    item = db.get(MediaItem, item_id)
    if item is None or item.server_id != catalogue.server_id:
        raise NotFound("There is no such item.")
    return item


def children(db: Session, item: MediaItem) -> Sequence[Any]:
    """The seasons of a show or the episodes of a season, in their order; nothing below anything else."""
    below = {"show": "season", "season": "episode"}.get(item.type)
    if below is None or item.deleted_at is not None:
        return []
    query = select(*SHOWN).where(
        MediaItem.server_id == item.server_id,
        MediaItem.parent_key == item.rating_key,
        MediaItem.type == below,
        MediaItem.deleted_at.is_(None),
    )
    order = (MediaItem.item_index.asc().nulls_last(), MediaItem.sort_title, MediaItem.id)
    return db.execute(query.order_by(*order).limit(MOST_CHILDREN)).all()


def by_keys(db: Session, catalogue: Catalogue, keys: Sequence[str]) -> list[str]:
    """The ids of the live items with these rating keys, in this order; unknown ones are left out."""
    query = select(MediaItem.rating_key, MediaItem.id).where(
        MediaItem.server_id == catalogue.server_id,
        MediaItem.rating_key.in_(keys),
        MediaItem.deleted_at.is_(None),
    )
    ids = dict(db.execute(query).all()) if keys else {}
    return [ids[key] for key in dict.fromkeys(keys) if key in ids]


def rows(db: Session, ids: Sequence[str]) -> list[Any]:
    """Items by their ids, in this order."""
    if not ids:
        return []
    found = {row.id: row for row in db.execute(select(*SHOWN).where(MediaItem.id.in_(ids)))}
    return [found[item_id] for item_id in ids if item_id in found]


def lineage(db: Session, catalogue: Catalogue, items: Sequence[Any]) -> Mapping[str, str]:
    """Ids of the seasons and shows that items of a page belong to, by rating key."""
    keys = {key for item in items for key in (item.parent_key, item.grandparent_key) if key}
    if not keys:
        return {}
    query = select(MediaItem.rating_key, MediaItem.id).where(
        MediaItem.server_id == catalogue.server_id,
        MediaItem.rating_key.in_(keys),
        MediaItem.deleted_at.is_(None),
    )
    return dict(db.execute(query).all())


def recent(
    db: Session, catalogue: Catalogue, sections: Sequence[PlexSection], *, page: int, limit: int
) -> Page[Any]:
    """Recently added films and episodes, of each season only the newest; hidden libraries are left out."""
    newest, counted = list[Any](), dict[tuple[str, str], int]()
    for section in sections:
        kind = {"movie": "movie", "show": "episode"}.get(section.type)
        if kind is not None and not section.hidden:
            count = _counting(db, catalogue, section.key, kind)
            counted[section.key, kind] = remembered((catalogue.stamp, "recent", section.key), count)
    total = sum(counted.values())
    if (page - 1) * limit < total:  # a page beyond the end would read all there is
        for key, kind in counted:
            newest += _newest(db, catalogue, key, kind, page * limit)
    newest.sort(key=lambda row: (row.added_at, row.id), reverse=True)
    shown = newest[(page - 1) * limit : page * limit]
    return Page(rows(db, [row.id for row in shown]), page, limit, total)


def _newest(db: Session, catalogue: Catalogue, section_key: str, kind: str, number: int) -> list[Any]:
    """The newest of a library, and more rows than needed, since only the last episode of a season counts."""
    query = _dated(catalogue, section_key, kind, MediaItem.id, MediaItem.added_at, _ONE_OF.label("one_of"))
    newest_first = query.order_by(MediaItem.added_at.desc().nulls_last(), MediaItem.id.desc())
    if kind == "movie":
        return list(db.execute(newest_first.limit(number)))
    most = min(number * _EPISODES_READ, _MOST_READ)
    read = db.execute(newest_first.limit(most)).all()
    seasons: dict[str, Any] = {}
    for row in read:
        seasons.setdefault(row.one_of, row)
    if len(seasons) >= number or len(read) < most:
        return list(seasons.values())
    last = query.ext(distinct_on(_ONE_OF)).order_by(_ONE_OF, MediaItem.added_at.desc(), MediaItem.id.desc())
    each = last.subquery()
    return list(db.execute(select(each).order_by(each.c.added_at.desc(), each.c.id.desc()).limit(number)))


def _counting(db: Session, catalogue: Catalogue, section_key: str, kind: str) -> Callable[[], int]:
    """Counts what a library has for `recent`."""
    which = func.count() if kind == "movie" else func.count(_ONE_OF.distinct())
    return lambda: db.scalar(_dated(catalogue, section_key, kind, which)) or 0


def _dated(catalogue: Catalogue, section_key: str, kind: str, *columns: Any) -> Select[Any]:
    return select(*columns).where(
        MediaItem.server_id == catalogue.server_id,
        MediaItem.section_key == section_key,
        MediaItem.type == kind,
        MediaItem.deleted_at.is_(None),
        MediaItem.added_at.is_not(None),
    )


def _filtered(query: Select[Any], catalogue: Catalogue, user_id: str, wanted: Wanted) -> Select[Any]:
    return query.where(*filters.conditions(catalogue, user_id, wanted))


def _ids(catalogue: Catalogue, user_id: str, wanted: Wanted, sort: str, page: int, limit: int) -> Select[Any]:
    """The ids of a page in their order; ids only, so that what is skipped or sorted is small.

    Several libraries or types are one branch each, of no more than the page can need: so the indexes give the order.
    """
    name, _, direction = sort.partition(":")
    falling = (direction or _DIRECTIONS[name]) == "desc"

    def ordered(query: Select[Any], key: Any, last: Any) -> Select[Any]:
        first = key.desc() if falling else key.asc()
        if name != "title":  # which is never null, and whose index has no NULLS ordering
            first = first.nulls_last()
        return query.order_by(first, last.desc() if falling else last.asc())

    start = (page - 1) * limit
    branches = []
    for section in wanted.sections:
        for kind in wanted.types:
            query, key = _branch(
                catalogue, user_id, replace(wanted, sections=(section,), types=(kind,)), name
            )
            if name == "addedAt" and not falling:
                # Read backwards, the index has nulls first: so they are a branch of their own.
                forwards = query.order_by(key.asc().nulls_first(), MediaItem.id.asc())
                branches += [forwards.where(key.is_not(None)), forwards.where(key.is_(None))]
            else:
                branches.append(ordered(query, key, MediaItem.id))
    if len(branches) == 1:
        return branches[0].offset(start).limit(limit)
    found = union_all(*(branch.limit(start + limit) for branch in branches)).subquery()
    return ordered(select(found.c.id), found.c.key, found.c.id).offset(start).limit(limit)


def _branch(catalogue: Catalogue, user_id: str, wanted: Wanted, name: str) -> tuple[Select[Any], Any]:
    """Ids with what they are sorted by, and that."""
    if name != "lastViewedAt":
        key = _COLUMNS[name]
        return _filtered(select(MediaItem.id, key.label("key")), catalogue, user_id, wanted), key
    seen = watch_states.seen_by(user_id, catalogue.server_id, wanted.types)
    query = select(MediaItem.id, seen.c.last_viewed_at.label("key"))
    query = query.outerjoin(seen, seen.c.id == MediaItem.id)
    return _filtered(query, catalogue, user_id, wanted), seen.c.last_viewed_at


def _total(db: Session, catalogue: Catalogue, user_id: str, wanted: Wanted) -> int:
    """How many items all pages have, counted once as long as nothing changes."""
    whose = (user_id, catalogue.watched) if wanted.unwatched is not None else ()

    def count() -> Any:
        return db.scalar(_filtered(select(func.count()).select_from(MediaItem), catalogue, user_id, wanted))

    return int(remembered((catalogue.stamp, wanted, whose), count) or 0)
