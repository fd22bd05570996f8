"""Lists of films and series: found by words, trending, popular, upcoming; fresh from TMDB, or as they were kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy.orm import Session

from engine.clients.tmdb import LAST_PAGE, PAGE, TmdbClient, TmdbError
from engine.errors import ServiceUnavailable
from engine.runtime import Runtime
from engine.titles import keeping, normal, source
from engine.titles.keeping import Key
from engine.titles.normal import Type
from engine.titles.titles import TitleFacts, facts, failure
from models.title import TitleList

ListType = Literal["movie", "tv", "all"]

_LONGEST_QUERY = 200
_MOST = PAGE * LAST_PAGE  # entries of a list that TMDB lets see


@dataclass(frozen=True)
class TitlePage:
    """A part of a list.

    Attributes:
        total: entries in all, by TMDB; people and collections among them are not shown.
        stale: TMDB could not be asked for a newer answer, or knows it only from what was seen before.
        fetched_at: when TMDB told the oldest part of it.
    """

    titles: Sequence[TitleFacts]
    total: int
    stale: bool
    fetched_at: datetime | None


@dataclass(frozen=True)
class _Part:
    """One page of TMDB's; None among its members stands for a person or collection."""

    members: Sequence[Key | None]
    total: int
    stale: bool
    fetched_at: datetime


@dataclass(frozen=True)
class _ListSource:
    """A list of TMDB's: its address and question, and the type of entries that do not say theirs."""

    path: str
    query: Mapping[str, str | int]
    type: Type | None
    language: str

    def key(self, page: int) -> str:
        """The key under which a page is kept."""
        words = "\n".join(f"{name}={self.query[name]}" for name in sorted(self.query))
        digest = hashlib.sha256(words.encode()).hexdigest()[:32] if words else "-"
        return f"{self.path}:{digest}:{self.language}:{page}"


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
        return _page(runtime, sources, page, limit, language)
    except (TmdbError, ServiceUnavailable) as error:
        with runtime.reading() as db:
            keys = keeping.found_by_words(db, query, None if type_ == "all" else type_, year)
            if not keys:
                raise failure(error) from None
            start = (page - 1) * limit
            some = _facts(db, keys[start : start + limit], language, old=True)
        return TitlePage(some, len(keys), True, min((one.as_of for one in some), default=None))


def trending(runtime: Runtime, type_: ListType, *, page: int, limit: int, language: str) -> TitlePage:
    """What people look at this week.

    Raises:
        ServiceUnavailable, UpstreamFailed: as `search`.
    """
    usual: Type | None = None if type_ == "all" else type_
    return _listed(
        runtime, [_ListSource(f"/trending/{type_}/week", {}, usual, language)], page, limit, language
    )


def popular(runtime: Runtime, type_: ListType, *, page: int, limit: int, language: str) -> TitlePage:
    """What is popular; of both types in turns.

    Raises:
        ServiceUnavailable, UpstreamFailed: as `search`.
    """
    sources = [_ListSource(f"/{one}/popular", {}, one, language) for one in _types(type_)]
    return _listed(runtime, sources, page, limit, language)


def upcoming(runtime: Runtime, type_: ListType, *, page: int, limit: int, language: str) -> TitlePage:
    """Films that come to the cinemas, series with new episodes this week; of both types in turns.

    Raises:
        ServiceUnavailable, UpstreamFailed: as `search`.
    """
    paths = {"movie": "/movie/upcoming", "tv": "/tv/on_the_air"}
    sources = [_ListSource(paths[one], {}, one, language) for one in _types(type_)]
    return _listed(runtime, sources, page, limit, language)


def _listed(
    runtime: Runtime, sources: Sequence[_ListSource], page: int, limit: int, language: str
) -> TitlePage:
    try:
        return _page(runtime, sources, page, limit, language)
    except (TmdbError, ServiceUnavailable) as error:
        raise failure(error) from None


def _types(type_: ListType) -> tuple[Type, ...]:
    return normal.TYPES if type_ == "all" else (type_,)


def _search_sources(query: str, type_: ListType, year: int | None, language: str) -> Sequence[_ListSource]:
    """Searches of both types at once can't be narrowed to a year by TMDB: then each is asked for."""
    if type_ == "all" and year is None:
        return [_ListSource("/search/multi", {"query": query}, None, language)]
    years: Mapping[str, str] = {"movie": "primary_release_year", "tv": "first_air_date_year"}
    return [
        _ListSource(f"/search/{one}", {"query": query, **({years[one]: year} if year else {})}, one, language)
        for one in _types(type_)
    ]


def _page(
    runtime: Runtime, sources: Sequence[_ListSource], page: int, limit: int, language: str
) -> TitlePage:
    """A part of one list, or of two in turns; parts of TMDB's are 20 long."""
    start, parts, keys = (page - 1) * limit, list[_Part](), list[Key]()
    if len(sources) == 1:
        parts = _parts(runtime, sources[0], start, start + limit)
        keys = _cut(parts, start, limit)
        total = parts[0].total if parts else 0
    else:
        firsts = [_part(runtime, one, 1) for one in sources]
        totals = [part.total for part in firsts]
        places = [_place(number, totals) for number in range(start, min(start + limit, sum(totals)))]
        for which, one in enumerate(sources):
            mine = [place for source_, place in places if source_ == which]
            if mine:
                parts += (some := _parts(runtime, one, mine[0], mine[-1] + 1))
                keys += _cut(some, mine[0], len(mine))
        parts, total = parts or firsts, sum(totals)
    with runtime.reading() as db:
        titles = _facts(db, keys, language, old=any(part.stale for part in parts))
    if len(sources) > 1:
        titles = _in_turns(titles)
    return TitlePage(
        titles,
        total,
        any(part.stale for part in parts),
        min((part.fetched_at for part in parts), default=None),
    )


def _place(number: int, totals: Sequence[int]) -> tuple[int, int]:
    """Which of two lists has an entry of both in turns, and where; the longer one goes on alone."""
    shorter = min(totals)
    if number < 2 * shorter:
        return number % 2, number // 2
    return totals.index(max(totals)), number - shorter


def _in_turns(titles: Sequence[TitleFacts]) -> list[TitleFacts]:
    films = [one for one in titles if one.type == "movie"]
    series = [one for one in titles if one.type == "tv"]
    pairs = [one for pair in zip(films, series, strict=False) for one in pair]
    shorter = min(len(films), len(series))
    return [*pairs, *films[shorter:], *series[shorter:]]


def _parts(runtime: Runtime, source_: _ListSource, start: int, end: int) -> list[_Part]:
    """The parts of TMDB's with the entries from `start` to before `end`."""
    found = list[_Part]()
    for number in range(start // PAGE + 1, (min(end, _MOST) - 1) // PAGE + 2):
        if number > LAST_PAGE or (found and (number - 1) * PAGE >= found[0].total):
            break
        found.append(_part(runtime, source_, number))
    return found


def _cut(parts: Sequence[_Part], start: int, limit: int) -> list[Key]:
    skip = start % PAGE
    some = [key for part in parts for key in part.members][skip : skip + limit]
    return [key for key in some if key is not None]


def _part(runtime: Runtime, source_: _ListSource, number: int) -> _Part:
    """One part: kept and fresh, else from TMDB, else kept.

    Raises:
        TmdbError: TMDB does not answer, and none is kept.
        ServiceUnavailable: TMDB is not set up, and none is kept.
    """
    key = source_.key(number)
    with source.once(key):
        with runtime.reading() as db:
            kept = db.get(TitleList, key)
        if kept is not None and _seconds_old(kept) < runtime.settings.tmdb_list_seconds:
            return _of_row(kept, stale=False)
        try:
            body = source.ask(runtime, _question(source_, number))
        except (TmdbError, ServiceUnavailable):
            if kept is None:
                raise
            return _of_row(kept, stale=True)
        return _told(runtime, source_, key, body)


def _question(source_: _ListSource, number: int) -> Callable[[TmdbClient], Mapping[str, Any]]:
    return lambda client: client.page(source_.path, number, source_.language, **source_.query)


def _told(runtime: Runtime, source_: _ListSource, key: str, body: Mapping[str, Any]) -> _Part:
    """A part as TMDB told it; a place in it that is no title stays empty, so that later ones keep theirs."""
    entries = [*normal.objects(body["results"])][:PAGE]
    kinds = [normal.type_of(entry, source_.type) for entry in entries]
    found = [
        None if kind is None else normal.summary(entry, kind, source_.language)
        for entry, kind in zip(entries, kinds, strict=True)
    ]
    rows = [row for row in found if row is not None]
    members = [None if row is None else (row["type"], row["tmdb_id"]) for row in found]
    total = body.get("total_results")
    total = min(total, _MOST) if isinstance(total, int) and total >= len(members) else len(members)
    with runtime.unit_of_work() as db:
        keeping.keep_summaries(db, rows)
        keeping.keep_list(db, key, members, total)
    return _Part(members, total, False, datetime.now(UTC))


def _of_row(row: TitleList, *, stale: bool) -> _Part:
    members = [None if member is None else (member[0], member[1]) for member in row.members]
    return _Part(members, row.total, stale, row.fetched_at)


def _seconds_old(row: TitleList) -> float:
    return (datetime.now(UTC) - row.fetched_at).total_seconds()


def _facts(db: Session, keys: Sequence[Key], language: str, *, old: bool) -> list[TitleFacts]:
    rows = keeping.known(db, keys)
    return [facts(rows[key], language, old=old) for key in dict.fromkeys(keys) if key in rows]
