"""`/discover`: films and series by words, and shelves of what is talked about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from flask import Response

from api.pages.discover import words
from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.rendering import link
from api.pages.look.words import gettext as _
from api.wire.fields import Choice, Count, PageQuery, Text
from engine.errors import MediaNestError
from engine.media_requests import availability
from engine.media_requests.availability import NOTHING, Availability, TitleIds
from engine.paging import Page
from engine.permissions import Permission
from engine.titles import lists, pictures
from engine.titles.list_pages import TitlePage
from engine.titles.lists import ListType
from engine.titles.source import Patience
from engine.titles.titles import TitleFacts

pages = PageBlueprint("discover")

HERE = "discover"
_SHELF = 20


class DiscoverQuery(PageQuery):
    """What to look for; nothing: shelves. `list`: one shelf whole."""

    query = Text(200, 0, strip=True)
    q = Text(200, 0, strip=True)
    type = Choice(["all", "movie", "tv"], load_default="all")
    year = Count(1870, 2200)
    list = Choice(["trending", "popular", "upcoming"])


@dataclass(frozen=True)
class Shelf:
    """A row of titles; `stale`: TMDB said so some time ago; `error`: why there are none."""

    name: str
    title: str
    titles: Sequence[TitleFacts]
    stale: bool = False
    error: str | None = None


@pages.page("/discover", Permission.MEDIA_READ, query=DiscoverQuery, own_units=True)
def discover_page(visit: Visit, query: dict[str, Any]) -> Response:
    """Films and series that have the words; without words what is talked about."""
    searched = query.get("query") or query.get("q") or ""
    language = visit.language
    if searched or query.get("list"):
        return _found(visit, query, searched, language)
    patience = Patience()  # for all shelves together
    shelves = [
        _shelf(visit, patience, "trending", _("Much talked about this week"), "all"),
        _shelf(visit, patience, "popular", _("Popular"), "all"),
        _shelf(visit, patience, "upcoming", _("Coming soon"), "movie"),
    ]
    error = next((shelf.error for shelf in shelves if shelf.error), None)
    shown = [shelf for shelf in shelves if shelf.titles]
    there = there_of(visit, [title for shelf in shown for title in shelf.titles])
    return visit.show(
        "discover.html",
        HERE,
        query=query,
        searched="",
        shelves=shown,
        found=None,
        error=error,
        stale=any(shelf.stale for shelf in shown),
        there=there,
        nothing=NOTHING,
        words=words,
        poster=poster_of(visit),
        at=None,
        may_connect=visit.visitor.may(Permission.INTEGRATIONS_CONFIGURE),
    )


def _found(visit: Visit, query: dict[str, Any], searched: str, language: str) -> Response:
    kind, page, limit = cast(ListType, query["type"]), query["page"], query["limit"]
    error, found = None, TitlePage([], 0, False, None)
    try:
        if searched:
            found = lists.search(
                visit.runtime,
                searched,
                kind,
                year=query.get("year"),
                page=page,
                limit=limit,
                language=language,
            )
        else:
            found = _list(visit, query["list"], kind, page, limit)
    except MediaNestError as failed:
        error = failed.message

    def at(kind: str = query["type"], page: int | None = None) -> str:
        given = {
            "query": searched,
            "list": query.get("list"),
            "type": kind,
            "year": query.get("year"),
            "page": page,
        }
        return f"{link(HERE)}?{urlencode({name: value for name, value in given.items() if value})}"

    return visit.show(
        "discover.html",
        HERE,
        query=query,
        searched=searched,
        shelves=[],
        found=Page(found.titles, page, limit, found.total),
        error=error,
        stale=found.stale,
        there=there_of(visit, found.titles),
        nothing=NOTHING,
        words=words,
        poster=poster_of(visit),
        at=at,
        may_connect=visit.visitor.may(Permission.INTEGRATIONS_CONFIGURE),
    )


def _list(
    visit: Visit, name: str, kind: ListType, page: int, limit: int, patience: Patience | None = None
) -> TitlePage:
    ask = {"trending": lists.trending, "popular": lists.popular, "upcoming": lists.upcoming}[name]
    return ask(visit.runtime, kind, page=page, limit=limit, language=visit.language, patience=patience)


def _shelf(visit: Visit, patience: Patience, name: str, title: str, kind: ListType) -> Shelf:
    try:
        found = _list(visit, name, kind, 1, _SHELF, patience)
    except MediaNestError as failed:
        return Shelf(name, title, [], error=failed.message)
    return Shelf(name, title, found.titles, found.stale)


def there_of(visit: Visit, titles: Sequence[TitleFacts]) -> dict[tuple[str, str], Availability]:
    """What of some titles is there."""
    with visit.runtime.reading() as db:
        return availability.of(db, visit.settings, [TitleIds.of(one) for one in titles])


def poster_of(visit: Visit) -> Callable[..., str | None]:
    """Makes the address of our copy of a picture of TMDB's."""

    def poster(path: str | None, size: str = "w342") -> str | None:
        found = pictures.address(visit.settings, path, size)
        return None if found is None else link(found)

    return poster
