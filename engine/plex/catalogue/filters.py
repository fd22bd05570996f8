"""The filters of listings of the catalogue, as conditions of SQL; and what there is to filter by."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from engine.plex.catalogue.current import Catalogue, remembered
from engine.plex.watching import states as watch_states
from models.media import MediaItem


@dataclass(frozen=True)
class Wanted:
    """The filters of a listing; None: not filtered by that.

    Attributes:
        sections: keys of libraries.
        year_from: the first year; year_to: the last.
        unwatched: True: items that the user has not watched to the end; False: watched ones.
        search: prefixes of words of the title.
        deleted: items that the server no longer has, instead of the live ones.
    """

    sections: tuple[str, ...]
    types: tuple[str, ...]
    genre: str | None = None
    year: int | None = None
    year_from: int | None = None
    year_to: int | None = None
    resolution: str | None = None
    unwatched: bool | None = None
    search: str | None = None
    imdb: str | None = None
    tmdb: str | None = None
    tvdb: str | None = None
    deleted: bool = False


def matching(search: str) -> ColumnElement[bool]:
    """Whether all words of a search begin words of an item's title, original title or show, accents aside."""
    return MediaItem.search.op("@@", is_comparison=True)(beginnings(search))


def beginnings(search: str) -> ColumnElement[Any]:
    """A `tsquery` of words that begin with the words of a search."""
    # Taken apart before it is quoted, as `folded` does it: some characters become quotes by that.
    apart = dict.fromkeys(unicodedata.normalize("NFKD", search).split())
    quoted = (word.replace("\\", "\\\\").replace("'", "''") for word in apart)
    words = " & ".join(f"'{word}':*" for word in quoted)
    return func.to_tsquery(literal_column("'simple'"), func.folded(words))


def conditions(catalogue: Catalogue, user_id: str, wanted: Wanted) -> list[ColumnElement[bool]]:
    """What an item must fulfil to be in a listing."""
    all_of: list[ColumnElement[bool]] = [
        MediaItem.server_id == catalogue.server_id,
        _any(MediaItem.section_key, wanted.sections),
        _any(MediaItem.type, wanted.types),
        MediaItem.deleted_at.is_not(None) if wanted.deleted else MediaItem.deleted_at.is_(None),
    ]
    equal = {
        MediaItem.year: wanted.year,
        MediaItem.imdb_id: wanted.imdb,
        MediaItem.tmdb_id: wanted.tmdb,
        MediaItem.tvdb_id: wanted.tvdb,
    }
    all_of += [column == value for column, value in equal.items() if value is not None]
    if wanted.year_from is not None:
        all_of.append(MediaItem.year >= wanted.year_from)
    if wanted.year_to is not None:
        all_of.append(MediaItem.year <= wanted.year_to)
    if wanted.genre is not None:
        genres = func.lower(MediaItem.genres.cast(TEXT)).cast(ARRAY(TEXT))
        all_of.append(genres.contains([wanted.genre.lower()]))
    if wanted.resolution is not None:
        all_of.append(func.lower(MediaItem.resolution) == _resolution(wanted.resolution))
    if wanted.search is not None:
        all_of.append(matching(wanted.search))
    if wanted.unwatched is not None:
        all_of.append(_unwatched(catalogue, user_id, wanted))
    return all_of


def genres(db: Session, catalogue: Catalogue, sections: Sequence[str]) -> Sequence[str]:
    """The genres of films and shows of some libraries, by name; read once as long as nothing changes."""

    def read() -> Sequence[str]:
        query = select(func.unnest(MediaItem.genres).label("genre")).where(
            MediaItem.server_id == catalogue.server_id,
            MediaItem.section_key.in_(sections),
            MediaItem.type.in_(("movie", "show")),
            MediaItem.deleted_at.is_(None),
        )
        return sorted(db.scalars(query.distinct()))

    found: Sequence[str] = remembered((catalogue.stamp, "genres", *sections), read)
    return found


def _unwatched(catalogue: Catalogue, user_id: str, wanted: Wanted) -> ColumnElement[bool]:
    """Whether a user has not seen all of an item; negated where watched ones are wanted."""
    seen = watch_states.seen_by(user_id, catalogue.server_id, wanted.types)
    # Not correlated: computed once, and each item looked up in it.
    whole = select(seen.c.id).where(seen.c.views >= func.greatest(seen.c.whole, 1))
    return MediaItem.id.not_in(whole) if wanted.unwatched else MediaItem.id.in_(whole)


def _any(column: Any, values: tuple[str, ...]) -> ColumnElement[bool]:
    """One of some values; of one written so that an index gives the order too."""
    found: ColumnElement[bool] = column == values[0] if len(values) == 1 else column.in_(values)
    return found


def _resolution(text: str) -> str:
    """As Plex spells it: 1080p is "1080" there, and 2160p "4k"."""
    word = text.strip().lower()
    plain = word.removesuffix("p")
    return {"2160": "4k", "1440": "2k", "4320": "8k"}.get(plain, plain if plain.isdecimal() else word)
