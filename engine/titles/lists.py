"""Lists of films and series: found by words, trending, popular, upcoming; fresh from TMDB, or as they were kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from engine.clients.tmdb import TmdbError
from engine.errors import ServiceUnavailable
from engine.runtime import Runtime
from engine.titles import keeping, list_pages, normal
from engine.titles.list_pages import ListSource, TitlePage
from engine.titles.normal import Type
from engine.titles.source import Patience
from engine.titles.titles import failure

ListType = Literal["movie", "tv", "all"]

_LONGEST_QUERY = 200


def search(
    runtime: Runtime, words: str, type_: ListType, *, year: int | None, page: int, limit: int, language: str
) -> TitlePage:
    """Films and series whose title has the words, in any language.

    While TMDB is away: what it answered before, else those kept titles that have the words.

    Args:
        runtime: for units of work; none should be open.
        words: 1 to 200 characters.
        type_: which of the two, or both.
        year: of the release, or of the first episode.
        page: from 1.
        limit: entries a page.
        language: of titles and overviews.

    Raises:
        ServiceUnavailable: TMDB is not set up and nothing is kept.
        UpstreamFailed: TMDB is away or answers nonsense, and nothing is kept.
    """
    query = " ".join(words.split())[:_LONGEST_QUERY]
    sources = _search_sources(query, type_, year, language)
    try:
        return list_pages.of(runtime, sources, page, limit, language)
    except (TmdbError, ServiceUnavailable) as error:
        with runtime.reading() as db:
            keys = keeping.found_by_words(db, query, None if type_ == "all" else type_, year)
            if not keys:
                raise failure(error) from None
            start = (page - 1) * limit
            some = list_pages.kept_facts(db, keys[start : start + limit], language, old=True)
        return TitlePage(some, len(keys), True, min((one.as_of for one in some), default=None))


def trending(
    runtime: Runtime,
    type_: ListType,
    *,
    page: int,
    limit: int,
    language: str,
    patience: Patience | None = None,
) -> TitlePage:
    """What people look at this week.

    Raises:
        ServiceUnavailable, UpstreamFailed: as `search`.
    """
    usual: Type | None = None if type_ == "all" else type_
    sources = [ListSource(f"/trending/{type_}/week", {}, usual, language)]
    return _listed(runtime, sources, page, limit, language, patience)


def popular(
    runtime: Runtime,
    type_: ListType,
    *,
    page: int,
    limit: int,
    language: str,
    patience: Patience | None = None,
) -> TitlePage:
    """What is popular; of both types in turns.

    Raises:
        ServiceUnavailable, UpstreamFailed: as `search`.
    """
    sources = [ListSource(f"/{one}/popular", {}, one, language) for one in _types(type_)]
    return _listed(runtime, sources, page, limit, language, patience)


def upcoming(
    runtime: Runtime,
    type_: ListType,
    *,
    page: int,
    limit: int,
    language: str,
    patience: Patience | None = None,
) -> TitlePage:
    """Films that come to the cinemas, series with new episodes this week; of both types in turns.

    Raises:
        ServiceUnavailable, UpstreamFailed: as `search`.
    """
    paths = {"movie": "/movie/upcoming", "tv": "/tv/on_the_air"}
    sources = [ListSource(paths[one], {}, one, language) for one in _types(type_)]
    return _listed(runtime, sources, page, limit, language, patience)


def _listed(
    runtime: Runtime,
    sources: Sequence[ListSource],
    page: int,
    limit: int,
    language: str,
    patience: Patience | None,
) -> TitlePage:
    try:
        return list_pages.of(runtime, sources, page, limit, language, patience)
    except (TmdbError, ServiceUnavailable) as error:
        raise failure(error) from None


def _types(type_: ListType) -> tuple[Type, ...]:
    return normal.TYPES if type_ == "all" else (type_,)


def _search_sources(query: str, type_: ListType, year: int | None, language: str) -> Sequence[ListSource]:
    """Searches of both types at once can't be narrowed to a year by TMDB: then each is asked for."""
    if type_ == "all" and year is None:
        return [ListSource("/search/multi", {"query": query}, None, language)]
    years: Mapping[str, str] = {"movie": "primary_release_year", "tv": "first_air_date_year"}
    return [
        ListSource(f"/search/{one}", {"query": query, **({years[one]: year} if year else {})}, one, language)
        for one in _types(type_)
    ]
