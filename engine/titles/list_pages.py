"""Pages of lists of TMDB's, cut to the length that is asked for: each part of 20 fresh from TMDB, or as it was kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from engine.clients.tmdb import LAST_PAGE, PAGE, TmdbClient, TmdbError
from engine.errors import ServiceUnavailable
from engine.runtime import Runtime
from engine.titles import keeping, normal, source
from engine.titles.keeping import Key
from engine.titles.normal import Type
from engine.titles.source import Patience
from engine.titles.titles import TitleFacts, facts
from models.title import TitleList

_MOST = PAGE * LAST_PAGE  # entries of a list that TMDB lets see
# Titles up to which a list with people in it is read from its beginning, to leave them out.
_WALKED = 5 * PAGE
# Parts that may be read in vain for that: each may be a question to TMDB, whose budget all share.
_PARTS_OF_PEOPLE = 5


@dataclass(frozen=True)
class TitlePage:
    """A part of a list.

    Attributes:
        total: entries in all, by TMDB; without those people among them that are known to stand up to here.
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
class ListSource:
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


@dataclass(frozen=True)
class _PartReader:
    """Parts of lists for one answer."""

    runtime: Runtime
    patience: Patience

    def parts(self, source_: ListSource, start: int, end: int) -> list[_Part]:
        """The parts of TMDB's with the entries from `start` to before `end`."""
        found = list[_Part]()
        for number in range(start // PAGE + 1, (min(end, _MOST) - 1) // PAGE + 2):
            if number > LAST_PAGE or (found and (number - 1) * PAGE >= found[0].total):
                break
            found.append(self.part(source_, number))
        return found

    def from_beginning(self, source_: ListSource, end: int) -> list[_Part]:
        """The parts of a list with people in it that have its titles to before `end`.

        Where people stand among them is known only by reading from its first part on; of a name that
        thousands of people have, only as far as `_PARTS_OF_PEOPLE` allows.
        """
        found, titles = list[_Part](), 0
        for number in range(1, -(-end // PAGE) + _PARTS_OF_PEOPLE + 1):
            if titles >= end or (found and (number - 1) * PAGE >= found[0].total):
                break
            found.append(self.part(source_, number))
            titles += sum(key is not None for key in found[-1].members)
        return found

    def part(self, source_: ListSource, number: int) -> _Part:
        """One part: kept and fresh, else from TMDB, else kept.

        Raises:
            TmdbError: TMDB does not answer, and none is kept.
            ServiceUnavailable: TMDB is not set up, and none is kept.
        """
        key = source_.key(number)
        with source.once(key):
            with self.runtime.reading() as db:
                kept = db.get(TitleList, key)
            if kept is not None and _seconds_old(kept) < self.runtime.settings.tmdb_list_seconds:
                return _of_row(kept, stale=False)
            try:
                body = self.patience.ask(self.runtime, _question(source_, number))
            except (TmdbError, ServiceUnavailable):
                if kept is None:
                    raise
                return _of_row(kept, stale=True)
            return _told(self.runtime, source_, key, body)


def of(
    runtime: Runtime,
    sources: Sequence[ListSource],
    page: int,
    limit: int,
    language: str,
    patience: Patience | None = None,
) -> TitlePage:
    """A page of one list, or of two in turns.

    Args:
        runtime: for units of work; none should be open.
        sources: one or two.
        page: from 1.
        limit: entries a page.
        language: of titles and overviews.
        patience: how long TMDB is waited for; by default as for one answer.

    Raises:
        TmdbError: TMDB does not answer, and not all that is needed is kept.
        ServiceUnavailable: TMDB is not set up, and not all that is needed is kept.
    """
    asking = _PartReader(runtime, patience or Patience())
    start = (page - 1) * limit
    keys: list[Key | None]
    if len(sources) == 1 and sources[0].type is None and start < _WALKED:
        parts = asking.from_beginning(sources[0], start + limit)
        members = [key for part in parts for key in part.members]
        shown = [key for key in members if key is not None]
        keys = [*shown[start : start + limit]]
        total = parts[0].total - (len(members) - len(shown))
    elif len(sources) == 1:
        parts = asking.parts(sources[0], start, start + limit)
        keys = _cut(parts, start, limit)
        total = (parts or [asking.part(sources[0], 1)])[0].total
    else:
        parts = [asking.part(one, 1) for one in sources]
        totals = [part.total for part in parts]
        places = [_place(number, totals) for number in range(start, min(start + limit, sum(totals)))]
        halves = list[Iterator[Key | None]]()
        for which, one in enumerate(sources):
            mine = [place for source_, place in places if source_ == which]
            some = asking.parts(one, mine[0], mine[-1] + 1) if mine else []
            halves.append(iter(_cut(some, mine[0] if mine else 0, len(mine))))
            parts += some
        keys, total = [next(halves[which], None) for which, _ in places], sum(totals)
    with runtime.reading() as db:
        titles = kept_facts(db, keys, language, old=any(part.stale for part in parts))
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


def _cut(parts: Sequence[_Part], start: int, limit: int) -> list[Key | None]:
    skip = start % PAGE
    return [key for part in parts for key in part.members][skip : skip + limit]


def _question(source_: ListSource, number: int) -> Callable[[TmdbClient], Mapping[str, Any]]:
    return lambda client: client.page(source_.path, number, source_.language, **source_.query)


def _told(runtime: Runtime, source_: ListSource, key: str, body: Mapping[str, Any]) -> _Part:
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


def kept_facts(db: Session, keys: Sequence[Key | None], language: str, *, old: bool) -> list[TitleFacts]:
    """Kept titles as they are shown, each once; `old`: TMDB could not be asked for newer ones."""
    once = list(dict.fromkeys(key for key in keys if key is not None))
    rows = keeping.known(db, once)
    return [facts(rows[key], language, old=old) for key in once if key in rows]
