"""`/library`: what can be watched, over all libraries or in one of them, and what is found in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import Response

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.library.title_cards import cards, picture
from api.pages.look.rendering import link
from api.wire.fields import Choice, Count, Flag, Schema, Text
from engine.paging import Page
from engine.permissions import Permission
from engine.plex.catalogue import current, filters
from engine.plex.catalogue import items as catalogue_items
from engine.plex.catalogue.current import Catalogue
from engine.plex.catalogue.filters import Wanted
from engine.plex.watching import work as watch_refresh
from engine.search import titles
from models.plex_library import PlexSection

pages = PageBlueprint("library")

_PAGE = {"grid": 60, "table": 100}
_SORTS = ("addedAt", "title", "year", "rating", "duration", "lastViewedAt")
_FILTERS = ("type", "genre", "year_from", "year_to", "resolution", "unwatched")


class LibraryPageQuery(Schema):
    """What of the library, and how it is shown."""

    query = Text(200, strip=True, load_default=None)
    view = Choice(list(_PAGE), load_default="grid")
    sort = Choice(
        [sort for name in _SORTS for sort in (name, f"{name}:asc", f"{name}:desc")], load_default=None
    )
    type = Choice(titles.FOUND, load_default=None)
    genre = Text(100, strip=True, load_default=None)
    year_from = Count(1, 9999, load_default=None)
    year_to = Count(1, 9999, load_default=None)
    resolution = Choice(["4k", "1080", "720", "sd"], load_default=None)
    unwatched = Flag(load_default=None)
    page = Count(1, 100_000, load_default=1)


@dataclass(frozen=True)
class LibraryTab:
    """A library as a tab."""

    key: str
    title: str
    count: int


@pages.page("/library", Permission.MEDIA_READ, query=LibraryPageQuery)
def library_page(visit: Visit, query: dict[str, Any]) -> Response:
    """All libraries, or what a search finds in them."""
    return _show(visit, query, None)


@pages.page("/library/<id:library_key>", Permission.MEDIA_READ, query=LibraryPageQuery)
def one_library_page(visit: Visit, query: dict[str, Any], library_key: str) -> Response:
    """One library."""
    return _show(visit, query, library_key)


def _show(visit: Visit, query: dict[str, Any], key: str | None) -> Response:
    user_id = visit.identity.user_id
    watch_refresh.request(visit.runtime, user_id)
    if key is not None:
        found: Catalogue | None = current.need(visit.db, visit.settings, user_id)
    else:
        found = current.find(visit.db, visit.settings, user_id)
    may_connect = visit.visitor.may(Permission.INTEGRATIONS_CONFIGURE)
    if found is None or found.synced_at is None:
        return visit.show("library-empty.html", here="library", found=found, may_connect=may_connect)
    chosen = None if key is None else current.section(visit.db, found, key)
    items, keys = _items(visit, found, query, chosen)
    return visit.show(
        "library.html",
        here="library",
        found=items,
        cards=cards(visit, found, items.items),
        libraries=_libraries(visit, found),
        library=chosen,
        listed=chosen is None or current.listed_type(chosen) is not None,
        query=query,
        searched=query["query"] or "",
        filters=[name for name in _FILTERS if query[name] is not None],
        genres=filters.genres(visit.db, found, keys),
        base="library" if key is None else f"library/{key}",
        address=_address("library" if key is None else f"library/{key}", query),
        picture=lambda row, kind="poster", width=None: picture(visit, row, kind, width),
    )


def _items(
    visit: Visit, found: Catalogue, query: dict[str, Any], chosen: PlexSection | None
) -> tuple[Page[Any], tuple[str, ...]]:
    """What is shown, and in which libraries it was looked for."""
    keys = current.shown_keys(visit.db, found) if chosen is None else (chosen.key,)
    usual = ("movie", "show") if chosen is None else tuple(filter(None, [current.listed_type(chosen)]))
    text, kind = query["query"], query["type"]
    filters = {name: query[name] for name in _FILTERS if name != "type"}
    where = {"page": query["page"], "limit": _PAGE[query["view"]]}

    def listed(types: tuple[str, ...]) -> Page[Any]:
        user_id, sort = visit.identity.user_id, query["sort"]
        if text and sort is None:
            wanted = Wanted(keys, types, **filters)
            return titles.search(visit.db, found, user_id, wanted, text, **where)
        wanted = Wanted(keys, types, search=text, **filters)
        return catalogue_items.listing(visit.db, found, user_id, wanted, sort=sort or "addedAt", **where)

    items = listed((kind,) if kind and usual else usual)
    if text and kind is None and items.total == 0:
        items = listed(titles.FOUND)  # a word that is only in titles of episodes
    return items, keys


def _libraries(visit: Visit, found: Catalogue) -> Sequence[LibraryTab]:
    counted = current.counts(visit.db, found)
    return [
        LibraryTab(section.key, section.title, current.shown_count(section, counted))
        for section in current.sections(visit.db, found)
        if not section.hidden
    ]


def _address(base: str, query: dict[str, Any]) -> Any:
    """Makes addresses of the same list with something changed; None leaves a parameter out, and so goes the page."""
    given: dict[str, Any] = {_outside(name): _text(value) for name, value in query.items() if name != "page"}
    if given["view"] == "grid":
        given["view"] = None

    def address(**changes: Any) -> str:
        changed = given | {_outside(name): value for name, value in changes.items()}
        left = {name: value for name, value in changed.items() if value is not None}
        return link(f"{base}?{urlencode(left)}" if left else base)

    return address


def _outside(name: str) -> str:
    return {"year_from": "yearFrom", "year_to": "yearTo"}.get(name, name)


def _text(value: Any) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)
