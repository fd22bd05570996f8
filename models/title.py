"""Films and series as TMDB describes them, kept for 180 days at most, and lists of them as TMDB answered."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Date, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Title(Base):
    """A film or series; its key is TMDB's.

    Attributes:
        type: movie or tv. tmdb_id: decimal digits.
        names: title and overview by language, `{"en": {"title", "overview"}, "de": {...}}`, as far as they were seen.
        other_titles: every other title that it is known by: original, alternative, translated; found by searches.
        language: of the original, ISO 639-1.
        poster, backdrop: TMDB's paths of pictures, beginning with `/`.
        genres: TMDB's ids of them.
        rating: 0 to 10; popularity: TMDB's figure, for ordering only.
        details: everything else of TMDB's details, normalized (`engine.titles.details`); None: only listed so far.
        listed_at, detailed_at: when TMDB last told the row, and its details.
    """

    __tablename__ = "titles"
    __table_args__ = (
        CheckConstraint("type IN ('movie', 'tv')", name="type"),
        Index("ix_titles_listed", "listed_at"),
        Index("ix_titles_search", text("to_tsvector('simple', folded(search))"), postgresql_using="gin"),
    )

    type: Mapped[str] = mapped_column(primary_key=True)
    tmdb_id: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    original_title: Mapped[str | None]
    names: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    other_titles: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    search: Mapped[str] = mapped_column(server_default="")
    released: Mapped[date | None] = mapped_column(Date)
    overview: Mapped[str | None]
    poster: Mapped[str | None]
    backdrop: Mapped[str | None]
    language: Mapped[str | None]
    genres: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'"))
    rating: Mapped[float | None]
    popularity: Mapped[float | None]
    details: Mapped[dict[str, Any] | None]
    listed_at: Mapped[datetime]
    detailed_at: Mapped[datetime | None]


class TitleList(Base):
    """One page of a list as TMDB answered it.

    Attributes:
        key: what was asked for: kind, words, year, language, TMDB's page.
        members: `[[type, tmdb_id], ...]` in TMDB's order; null for what is neither film nor series.
        total: results in all, by TMDB.
    """

    __tablename__ = "title_lists"
    __table_args__ = (Index("ix_title_lists_fetched", "fetched_at"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    members: Mapped[list[Any]] = mapped_column(JSONB)
    total: Mapped[int]
    fetched_at: Mapped[datetime]
