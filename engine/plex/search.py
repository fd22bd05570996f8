"""Search in the catalogue: films and shows first, what fits best before the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from engine.paging import Page
from engine.plex import catalogue
from engine.plex.shelf import Shelf
from models.media import MediaItem
from models.plex_library import PlexSection

FOUND = ("movie", "show", "episode")


def search(
    db: Session, shelf: Shelf, sections: Sequence[PlexSection], text: str, *, page: int, limit: int
) -> Page[Any]:
    """Items whose titles have words that begin with those of `text`; else those in whose titles it stands anywhere.

    Libraries that are hidden in Plex are left out.
    """
    keys = [section.key for section in sections if not section.hidden]
    if not keys:
        return Page([], page, limit, 0)
    found = _page(db, shelf, keys, text, catalogue.matching(text), page, limit)
    if found.total == 0:  # "bourn" finds The Bourne Identity by its words; "ourne", or CJK, only like this
        inside = MediaItem.title.icontains(text, autoescape=True)
        found = _page(db, shelf, keys, text, inside, page, limit)
    return found


def _page(
    db: Session, shelf: Shelf, keys: list[str], text: str, fits: ColumnElement[bool], page: int, limit: int
) -> Page[Any]:
    where = (
        MediaItem.server_id == shelf.server_id,
        MediaItem.section_key.in_(keys),
        MediaItem.type.in_(FOUND),
        MediaItem.deleted_at.is_(None),
        fits,
    )
    query = select(MediaItem.id, func.count().over()).where(*where).order_by(*_order(text))
    found = db.execute(query.offset((page - 1) * limit).limit(limit)).all()
    if found or page == 1:
        total = found[0][1] if found else 0
    else:
        total = db.scalar(select(func.count()).select_from(MediaItem).where(*where)) or 0
    return Page(catalogue.rows(db, [row[0] for row in found]), page, limit, total)


def _order(text: str) -> list[Any]:
    """Titles that are what was typed, then those that begin so, then the shorter: of a shorter one it is more."""
    title, typed = func.lower(MediaItem.title), text.lower()
    fit = case((title == typed, 0), (title.startswith(typed, autoescape=True), 1), else_=2)
    return [
        case((MediaItem.type == "episode", 1), else_=0),
        fit,
        func.length(MediaItem.title),
        MediaItem.sort_title,
        MediaItem.id,
    ]
