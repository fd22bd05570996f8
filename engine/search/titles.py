"""Title search in the catalogue: films and shows before episodes, best matches first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from engine.paging import Page
from engine.plex.catalogue import filters
from engine.plex.catalogue import items as catalogue_items
from engine.plex.catalogue.current import Catalogue, remembered
from engine.plex.catalogue.filters import Wanted
from models.media import MediaItem

FOUND = ("movie", "show", "episode")
_EPISODE = MediaItem.type == "episode"


def search(
    db: Session, catalogue: Catalogue, user_id: str, wanted: Wanted, text: str, *, page: int, limit: int
) -> Page[Any]:
    """A page of items with title words that begin with the words of `text`; if there are none, substring matches.

    Args:
        db: a session.
        catalogue: the catalogue.
        user_id: whose watch state filters.
        wanted: in which libraries, of which types, and what else they must be.
        text: what was typed.
        page: from 1.
        limit: items a page.
    """
    if not wanted.sections or not wanted.types:
        return Page([], page, limit, 0)
    rest = filters.conditions(catalogue, user_id, wanted)
    about = (wanted, (user_id, catalogue.watched) if wanted.unwatched is not None else (), text)
    found = _page(db, catalogue, about, text, [*rest, filters.matching(text)], page, limit)
    # "bourn" matches The Bourne Identity by prefix; "ourne" and CJK text only as a substring.
    if found.total == 0:
        inside = MediaItem.title.icontains(text, autoescape=True)
        found = _page(db, catalogue, (*about, "inside"), text, [*rest, inside], page, limit)
    return found


def _page(
    db: Session,
    catalogue: Catalogue,
    about: tuple[Any, ...],
    text: str,
    where: Sequence[ColumnElement[bool]],
    page: int,
    limit: int,
) -> Page[Any]:
    first, second = _counts(db, catalogue, about, where)
    start = (page - 1) * limit
    ids: list[str] = []
    if start < first:
        ids += _ids(db, where, text, _EPISODE.is_(False), start, limit)
    if len(ids) < limit and second:
        ids += _ids(db, where, text, _EPISODE.is_(True), max(0, start - first), limit - len(ids))
    return Page(catalogue_items.rows(db, ids), page, limit, first + second)


def _counts(
    db: Session, catalogue: Catalogue, about: tuple[Any, ...], where: Sequence[ColumnElement[bool]]
) -> tuple[int, int]:
    """The number of films and shows, and of episodes; cached, so that it is counted once for all pages."""

    def count() -> tuple[int, int]:
        query = select(func.count().filter(_EPISODE.is_(False)), func.count()).where(*where)
        tops, total = db.execute(query.select_from(MediaItem)).one()
        return tops, total - tops

    found: tuple[int, int] = remembered((catalogue.stamp, "search", *about), count)
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
