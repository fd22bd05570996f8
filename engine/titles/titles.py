"""Single films and series: what TMDB tells of them, fresh or as it was kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.orm import Session

from engine.clients.tmdb import TmdbError, TmdbUnknown
from engine.errors import NotFound, ServiceUnavailable, UpstreamFailed
from engine.runtime import Runtime
from engine.titles import keeping, normal, source
from engine.titles.keeping import Key
from engine.titles.normal import Type
from models.title import Title

log = structlog.get_logger(__name__)

PICTURE_URL = "https://image.tmdb.org/t/p"
POSTER_SIZE, PHOTO_SIZE = "w342", "w185"

known = keeping.known


@dataclass(frozen=True)
class SeasonFacts:
    """A season; `episodes` that are announced, `aired` of them; `poster` is TMDB's path."""

    number: int
    name: str
    episodes: int
    aired: int
    air_date: date | None
    poster: str | None = None


@dataclass(frozen=True)
class TitleFacts:
    """A film or series.

    Attributes:
        type: movie or tv. tmdb_id: decimal digits.
        title, overview: in the language that was asked for, where TMDB has it.
        poster, backdrop: TMDB's paths of pictures.
        rating: 0 to 10. runtime: minutes.
        genres: their names in English, with details only; genre_ids: TMDB's ids.
        language: of the original.
        detailed: whether what follows it is known; lists tell less.
        similar: keys of others.
        old: TMDB could not be asked, and this is longer ago than fresh answers are. as_of: when TMDB told it.
    """

    type: Type
    tmdb_id: str
    title: str
    original_title: str | None
    year: int | None
    released: date | None
    poster: str | None
    backdrop: str | None
    overview: str | None
    rating: float | None
    genre_ids: tuple[int, ...]
    language: str | None
    as_of: datetime
    old: bool = False
    detailed: bool = False
    genres: tuple[str, ...] = ()
    content_rating: str | None = None
    content_ratings: Mapping[str, str] | None = None
    imdb_id: str | None = None
    tvdb_id: str | None = None
    runtime: int | None = None
    status: str | None = None
    tagline: str | None = None
    seasons: tuple[SeasonFacts, ...] = ()
    cast: Sequence[Mapping[str, Any]] = ()
    crew: Sequence[Mapping[str, Any]] = ()
    trailers: Sequence[Mapping[str, Any]] = ()
    collection: Mapping[str, Any] | None = None
    similar: tuple[Key, ...] = ()

    @property
    def key(self) -> Key:
        """Type and id."""
        return (self.type, self.tmdb_id)

    @property
    def aired(self) -> Mapping[int, int] | None:
        """How many episodes of each season were aired; None where details are not known."""
        return {season.number: season.aired for season in self.seasons} if self.detailed else None


def look_up(
    runtime: Runtime, type_: Type, tmdb_id: str, *, language: str = "en", fresh: float | None = None
) -> TitleFacts:
    """A film or series with its details; TMDB is asked unless it told them lately.

    Args:
        runtime: for units of work; none should be open.
        type_: movie or tv.
        tmdb_id: decimal digits.
        language: of title and overview.
        fresh: how many seconds old the details may be; by default `TMDB_DETAILS_SECONDS`.

    Raises:
        NotFound: TMDB has no such title.
        ServiceUnavailable: TMDB is not set up, or away, and nothing is kept of it.
        UpstreamFailed: its answers are none, and nothing is kept.
    """
    if not (tmdb_id.isascii() and tmdb_id.isdecimal()):
        raise NotFound("There is no such title: ids of TMDB are numbers.")
    if len(tmdb_id) > 10 or tmdb_id.startswith("0"):
        raise NotFound("TMDB has no such title.")
    age = timedelta(seconds=runtime.settings.tmdb_details_seconds if fresh is None else fresh)
    patience = source.Patience()
    with source.once(f"{type_}:{tmdb_id}"):
        row = _kept(runtime, (type_, tmdb_id))
        if row is not None and row.details is not None and _age(row.detailed_at) < age:
            return facts(row, language)
        try:
            body = patience.ask(runtime, lambda client: client.details(type_, tmdb_id, language))
        except TmdbUnknown:
            raise NotFound("TMDB has no such title.") from None
        except (TmdbError, ServiceUnavailable) as error:
            if row is not None and row.details is not None:
                return facts(row, language, old=True)
            raise failure(error) from None
        return _told(runtime, type_, tmdb_id, body, language)


def failure(error: TmdbError | ServiceUnavailable) -> ServiceUnavailable | UpstreamFailed:
    """The error for clients of one of TMDB."""
    if isinstance(error, ServiceUnavailable):
        return error
    log.error("tmdb.failed", reason=str(error))
    return UpstreamFailed(f"{error} Try again in a minute.", retry_after=source.seconds_until_asked(error))


def facts(row: Title, language: str = "en", *, old: bool = False) -> TitleFacts:
    """A kept title as it is shown; `old`: TMDB could not be asked for a newer one."""
    details: Mapping[str, Any] = row.details or {}
    name = row.names.get(language) or {}
    released = row.released
    return TitleFacts(
        type=row.type,  # type: ignore[arg-type]
        tmdb_id=row.tmdb_id,
        title=name.get("title") or row.title,
        original_title=row.original_title,
        year=None if released is None else released.year,
        released=released,
        poster=row.poster,
        backdrop=row.backdrop,
        overview=name.get("overview") or row.overview,
        rating=row.rating,
        genre_ids=tuple(row.genres),
        language=row.language,
        as_of=row.detailed_at or row.listed_at,
        old=old,
        detailed=row.details is not None,
        genres=tuple(details.get("genres", ())),
        content_rating=details.get("contentRating"),
        content_ratings=details.get("contentRatings"),
        imdb_id=details.get("imdbId"),
        tvdb_id=details.get("tvdbId"),
        runtime=details.get("runtime"),
        status=details.get("status"),
        tagline=details.get("tagline"),
        seasons=tuple(_season(season) for season in details.get("seasons", ())),
        cast=details.get("cast", ()),
        crew=details.get("crew", ()),
        trailers=details.get("trailers", ()),
        collection=details.get("collection"),
        similar=tuple((kind, number) for kind, number in details.get("similar", ())),
    )


def picture(path: str | None, size: str) -> str | None:
    """TMDB's own address of a picture, for programs; pages show our copies."""
    return None if path is None else f"{PICTURE_URL}/{size}{path}"


def similar_of(db: Session, title: TitleFacts, language: str) -> list[TitleFacts]:
    """The kept ones of those that TMDB finds similar, in its order."""
    rows = known(db, title.similar)
    return [facts(rows[key], language) for key in title.similar if key in rows]


def _kept(runtime: Runtime, key: Key) -> Title | None:
    with runtime.reading() as db:
        return known(db, [key]).get(key)


def _told(runtime: Runtime, type_: Type, tmdb_id: str, body: Mapping[str, Any], language: str) -> TitleFacts:
    row = normal.summary(body, type_, language)
    if row is None or row["tmdb_id"] != tmdb_id:
        raise UpstreamFailed("TMDB's answer describes no title.")
    beside = [
        found
        for entry in [*normal.entries_of(body, "recommendations"), *normal.entries_of(body, "similar")]
        if (kind := normal.type_of(entry, type_)) and (found := normal.summary(entry, kind, language))
    ]
    with runtime.unit_of_work() as db:
        keeping.keep_summaries(db, beside)
        keeping.keep_details(
            db, row, normal.details(body, type_), normal.names(body), normal.other_titles(body)
        )
        db.flush()
        return facts(known(db, [(type_, tmdb_id)])[type_, tmdb_id], language)


def _season(found: Mapping[str, Any]) -> SeasonFacts:
    air_date = found.get("airDate")
    return SeasonFacts(
        number=found["number"],
        name=found["name"],
        episodes=found["episodes"],
        aired=found["aired"],
        air_date=None if air_date is None else date.fromisoformat(air_date),
        poster=found.get("poster"),
    )


def _age(at: datetime | None) -> timedelta:
    return timedelta.max if at is None else datetime.now(UTC) - at
