"""What of a film or series is there, by the catalogue, and what of it was asked for: never by title, only by ids."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import String, column, func, or_, select, tuple_, values
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.plex.server import connection
from engine.titles.titles import TitleFacts
from models.media import MediaItem
from models.media_request import MediaRequest, RequestSeason
from models.title import Title

Key = tuple[str, str]  # type at TMDB, and id
AvailabilityStatus = Literal["none", "requested", "processing", "partial", "available"]

_CATALOGUE_TYPE = {"movie": "movie", "tv": "show"}
_UNDER_WAY = frozenset({"approved", "processing", "available"})


@dataclass(frozen=True)
class TitleIds:
    """How a title is known.

    Attributes:
        type: movie or tv.
        seasons: of a series, how many episodes of each season were aired; None: as its kept details say.
    """

    type: str
    tmdb_id: str
    imdb_id: str | None = None
    tvdb_id: str | None = None
    seasons: Mapping[int, int] | None = None

    @classmethod
    def of(cls, facts: TitleFacts) -> TitleIds:
        """Those that TMDB told."""
        return cls(facts.type, facts.tmdb_id, facts.imdb_id, facts.tvdb_id, facts.aired)

    @property
    def key(self) -> Key:
        """Type and id at TMDB."""
        return (self.type, self.tmdb_id)


@dataclass(frozen=True)
class SeasonAvailability:
    """A season: episodes that were aired, those of them that are there, and whether somebody asked for it."""

    number: int
    episodes: int
    available: int
    requested: bool

    @property
    def complete(self) -> bool:
        """Whether everything that was aired is there."""
        return self.available > 0 and self.available >= self.episodes


@dataclass(frozen=True)
class Availability:
    """What of a title is there.

    Attributes:
        plex: whether the catalogue has it, or a part of it.
        requested: whether somebody asked for it, and it was not denied.
        status: `none`, `requested`, `processing`, `partial` (some of what was aired is there) or `available`.
        item_id: in the catalogue. request_id: the newest request that was not denied.
        seasons: of a series, in order; of those that were not aired yet, which have no episodes, what was asked for.
    """

    plex: bool = False
    requested: bool = False
    status: AvailabilityStatus = "none"
    item_id: str | None = None
    request_id: str | None = None
    seasons: tuple[SeasonAvailability, ...] = ()


NOTHING = Availability()


@dataclass
class _Knowledge:
    """What is known of one title."""

    items: list[Any]
    requests: list[Any]
    seasons_asked: set[int]
    episodes: dict[int, int]


def of(db: Session, settings: Settings, titles: Sequence[TitleIds]) -> dict[Key, Availability]:
    """The availability of titles, in at most four statements; only of the server that is configured."""
    if not titles:
        return {}
    server_id = connection.server_id(db, settings)
    found = {title.key: _Knowledge([], [], set(), {}) for title in titles}
    if server_id is not None:
        _find_items(db, server_id, titles, found)
        _count_episodes(db, server_id, found)
    _find_requests(db, found)
    aired = _aired(db, titles)
    return {title.key: _availability(title, found[title.key], aired.get(title.key, {})) for title in titles}


def _find_items(
    db: Session, server_id: str, titles: Sequence[TitleIds], found: Mapping[Key, _Knowledge]
) -> None:
    """The items with one of a title's ids; one statement, which uses an index for each kind of id."""
    by_id = defaultdict[tuple[str, str, str], list[Key]](list)
    for title in titles:
        for name in ("tmdb_id", "imdb_id", "tvdb_id"):
            if number := getattr(title, name):
                by_id[_CATALOGUE_TYPE[title.type], name, number].append(title.key)
    ids = {
        name: sorted({number for _, kind, number in by_id if kind == name})
        for name in ("tmdb_id", "imdb_id", "tvdb_id")
    }
    having = [getattr(MediaItem, name).in_(numbers) for name, numbers in ids.items() if numbers]
    query = select(
        MediaItem.id, MediaItem.type, MediaItem.rating_key,
        MediaItem.tmdb_id, MediaItem.imdb_id, MediaItem.tvdb_id,
    ).where(
        or_(*having),
        MediaItem.server_id == server_id,
        MediaItem.deleted_at.is_(None),
        MediaItem.type.in_(_CATALOGUE_TYPE.values()),
    ).order_by(MediaItem.id)  # fmt: skip
    for row in db.execute(query):
        keys = {key for name in ids for key in by_id.get((row.type, name, getattr(row, name) or ""), ())}
        for key in keys:
            found[key].items.append(row)


def _count_episodes(db: Session, server_id: str, found: Mapping[Key, _Knowledge]) -> None:
    """Of each series how many different episodes of each season are there, in all libraries together."""
    shows = [
        (tmdb_id, item.rating_key)
        for (type_, tmdb_id), one in found.items()
        if type_ == "tv"
        for item in one.items
    ]
    if not shows:
        return
    of_show = values(column("tmdb_id", String), column("rating_key", String), name="shows").data(shows)
    query = (
        select(of_show.c.tmdb_id, MediaItem.parent_index, func.count(MediaItem.item_index.distinct()))
        .join(of_show, of_show.c.rating_key == MediaItem.grandparent_key)
        .where(
            MediaItem.server_id == server_id,
            MediaItem.type == "episode",
            MediaItem.deleted_at.is_(None),
            MediaItem.parent_index.is_not(None),
        )
        .group_by(of_show.c.tmdb_id, MediaItem.parent_index)
    )
    for tmdb_id, number, episodes in db.execute(query):
        found["tv", tmdb_id].episodes[number] = episodes


def _find_requests(db: Session, found: Mapping[Key, _Knowledge]) -> None:
    keys = list(found)
    query = (
        select(
            MediaRequest.id,
            MediaRequest.media_type,
            MediaRequest.tmdb_id,
            MediaRequest.status,
            RequestSeason.number,
        )
        .outerjoin(RequestSeason, RequestSeason.request_id == MediaRequest.id)
        .where(
            tuple_(MediaRequest.media_type, MediaRequest.tmdb_id).in_(keys), MediaRequest.status != "denied"
        )
        .order_by(MediaRequest.id)
    )
    for row in db.execute(query):
        one = found[row.media_type, row.tmdb_id]
        one.requests.append(row)
        if row.number is not None:
            one.seasons_asked.add(row.number)


def _aired(db: Session, titles: Sequence[TitleIds]) -> dict[Key, Mapping[int, int]]:
    """Of each series how many episodes of each season were aired; missing where nobody knows."""
    known = {title.key: title.seasons for title in titles if title.type == "tv" and title.seasons is not None}
    unknown = [title.key for title in titles if title.type == "tv" and title.seasons is None]
    if unknown:
        query = select(Title.type, Title.tmdb_id, Title.details["seasons"]).where(
            tuple_(Title.type, Title.tmdb_id).in_(unknown), Title.details.is_not(None)
        )
        for type_, tmdb_id, seasons in db.execute(query):
            known[type_, tmdb_id] = {season["number"]: season["aired"] for season in seasons or ()}
    return known


def _availability(title: TitleIds, found: _Knowledge, aired: Mapping[int, int]) -> Availability:
    there = found.items[0].id if found.items else None
    newest = found.requests[-1] if found.requests else None
    seasons = _seasons(found, aired) if title.type == "tv" else ()
    return Availability(
        plex=there is not None,
        requested=newest is not None,
        status=_status(title, found, seasons, known=bool(aired)),
        item_id=there,
        request_id=None if newest is None else newest.id,
        seasons=seasons,
    )


def _seasons(found: _Knowledge, aired: Mapping[int, int]) -> tuple[SeasonAvailability, ...]:
    out = {number for number, episodes in aired.items() if episodes}
    numbers = sorted(out | found.episodes.keys() | found.seasons_asked)
    return tuple(
        SeasonAvailability(
            number,
            aired.get(number, 0) or found.episodes.get(number, 0),
            found.episodes.get(number, 0),
            number in found.seasons_asked,
        )
        for number in numbers
    )


def _status(
    title: TitleIds, found: _Knowledge, seasons: Sequence[SeasonAvailability], *, known: bool
) -> AvailabilityStatus:
    """Specials do not count: a series without them is whole. Of one that nobody knows more of, what is there is all."""
    if found.items:
        regular = [season for season in seasons if season.number > 0 and season.episodes]
        if title.type == "movie" or not known:
            return "available"
        if regular and all(season.complete for season in regular):
            return "available"
        if any(season.available for season in seasons):
            return "partial"
    if not found.requests:
        return "none"
    return "processing" if any(row.status in _UNDER_WAY for row in found.requests) else "requested"
