"""Title search in the catalogue: films and shows before episodes, best matches first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from engine.paging import Page
from engine.plex.catalogue import items as catalogue_items
from engine.plex.catalogue.current import Catalogue, remembered
from models.media import MediaItem
from models.plex_library import PlexSection

FOUND = ("movie", "show", "episode")
_EPISODE = MediaItem.type == "episode"


def search(
    db: Session, catalogue: Catalogue, sections: Sequence[PlexSection], text: str, *, page: int, limit: int
) -> Page[Any]:
    """A page of items with title words that begin with the words of `text`; if there are none, substring matches.

    Libraries that are hidden in Plex are left out.
    """
    keys = [section.key for section in sections if not section.hidden]
    if not keys:
        return Page([], page, limit, 0)
    found = _page(db, catalogue, keys, text, catalogue_items.matching(text), page, limit)
    # "bourn" matches The Bourne Identity by prefix; "ourne" and CJK text only as a substring.
    if found.total == 0:
        inside = MediaItem.title.icontains(text, autoescape=True)
        found = _page(db, catalogue, keys, text, inside, page, limit)
    return found


def _page(
    db: Session,
    catalogue: Catalogue,
    keys: list[str],
    text: str,
    fits: ColumnElement[bool],
    page: int,
    limit: int,
) -> Page[Any]:
    where = (
        MediaItem.server_id == catalogue.server_id,
        MediaItem.section_key.in_(keys),
        MediaItem.type.in_(FOUND),
        MediaItem.deleted_at.is_(None),
        fits,
    )
    first, second = _counts(db, catalogue, keys, text, where)
    start = (page - 1) * limit
    ids: list[str] = []
    if start < first:
        ids += _ids(db, where, text, _EPISODE.is_(False), start, limit)
    if len(ids) < limit and second:
        ids += _ids(db, where, text, _EPISODE.is_(True), max(0, start - first), limit - len(ids))
    return Page(catalogue_items.rows(db, ids), page, limit, first + second)


def _counts(
    db: Session, catalogue: Catalogue, keys: list[str], text: str, where: Sequence[ColumnElement[bool]]
) -> tuple[int, int]:
    """The number of films and shows, and of episodes; cached, so that it is counted once for all pages."""

    def count() -> tuple[int, int]:
        query = select(func.count().filter(_EPISODE.is_(False)), func.count()).where(*where)
        tops, total = db.execute(query.select_from(MediaItem)).one()
        return tops, total - tops

    found: tuple[int, int] = remembered((catalogue.stamp, "search", tuple(keys), text, str(where[-1])), count)
    return found


def _ids(
    db: Session,
    where: Sequence[ColumnElement[bool]],
    text: str,
    kind: ColumnElement[bool],
    start: int,
    limit: int,
) -> list[str]:
    query = select(MediaItem.id).where(*where, kind).order_by(*_order(text))
    return list(db.scalars(query.offset(start).limit(limit)))


def _order(text: str) -> list[Any]:
    """Exact titles first, then titles that begin with the text, then shorter titles."""
    title, typed = func.lower(MediaItem.title), text.lower()
    fit = case((title == typed, 0), (title.startswith(typed, autoescape=True), 1), else_=2)
    return [fit, func.length(MediaItem.title), MediaItem.sort_title, MediaItem.id]
