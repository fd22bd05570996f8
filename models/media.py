"""The catalogue: films, series, seasons and episodes that are, or were, in Plex; and users' watch states."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Computed, Date, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from models.base import TITLE_BEGIN, Base, Timestamps

_LIVE = text("deleted_at IS NULL")
_TOPS = text("deleted_at IS NULL AND type IN ('movie', 'show')")
_EPISODES = text("deleted_at IS NULL AND type = 'episode'")


class MediaItem(Timestamps, Base):
    """An item of a Plex library.

    It keeps its id when Plex gives it another rating key: after it was removed and added again, moved or merged.

    Attributes:
        rating_key: Plex's present id of it; unique among a server's items that are not deleted.
        type: movie, show, season or episode.
        parent_key, grandparent_key: rating keys of the season and the show.
        guid: of Plex's metadata agent; not unique. imdb_id, tmdb_id, tvdb_id: of the film or series itself.
        item_index, parent_index: number of the episode, and of the season.
        duration: milliseconds. added_at, updated_at: by Plex.
        files: the versions, `[{"resolution", "videoCodec", "audioCodec", "container", "bitrate", "width", "height",
            "languages", "parts": [{"file", "size", "duration"}]}]`.
        file: path of the first file on the Plex server.
        hash: of all its values, so that an unchanged item is not written.
        search: the words of its titles without case and accents (`folded` of migration 0012).
        listed_hash: of its entry in Plex's listing, so that an unchanged item is not even fetched.
        deleted_at: since when Plex does not have it any more.
    """

    __tablename__ = "media_items"
    __table_args__ = (
        Index("uq_media_items_rating_key", "server_id", "rating_key", unique=True, postgresql_where=_LIVE),
        Index(
            "ix_media_items_added",
            "server_id",
            "section_key",
            "type",
            text("added_at DESC NULLS LAST"),
            text("id DESC"),
        ),
        Index("ix_media_items_title", "server_id", "section_key", "type", "sort_title", "id"),
        Index("ix_media_items_guid", "guid", postgresql_where=text("guid IS NOT NULL")),
        Index("ix_media_items_file", "file", postgresql_where=text("file IS NOT NULL")),
        Index("ix_media_items_tmdb", "tmdb_id", postgresql_where=text("tmdb_id IS NOT NULL")),
        Index("ix_media_items_tvdb", "tvdb_id", postgresql_where=text("tvdb_id IS NOT NULL")),
        Index("ix_media_items_imdb", "imdb_id", postgresql_where=text("imdb_id IS NOT NULL")),
        Index(
            "ix_media_items_parent",
            "server_id",
            "parent_key",
            postgresql_where=text("parent_key IS NOT NULL"),
        ),
        Index(
            "ix_media_items_grandparent",
            "server_id",
            "grandparent_key",
            postgresql_where=text("grandparent_key IS NOT NULL"),
        ),
        Index("ix_media_items_search", "search", postgresql_using="gin"),
        Index("ix_media_items_words", "search", postgresql_using="gin", postgresql_where=_TOPS),
        # Both are COLLATE "C", which is not seen by who compares models and migrations.
        Index("ix_media_items_begin", "server_id", text(TITLE_BEGIN), postgresql_where=_TOPS),
        Index("ix_media_items_episodes", "server_id", text(TITLE_BEGIN), postgresql_where=_EPISODES),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    server_id: Mapped[str] = mapped_column(ForeignKey("plex_servers.id", ondelete="CASCADE"))
    section_key: Mapped[str]
    rating_key: Mapped[str]
    type: Mapped[str]
    parent_key: Mapped[str | None]
    grandparent_key: Mapped[str | None]
    guid: Mapped[str | None]
    imdb_id: Mapped[str | None]
    tmdb_id: Mapped[str | None]
    tvdb_id: Mapped[str | None]
    title: Mapped[str]
    sort_title: Mapped[str]
    original_title: Mapped[str | None]
    show_title: Mapped[str | None]
    edition: Mapped[str | None]
    year: Mapped[int | None]
    item_index: Mapped[int | None]
    parent_index: Mapped[int | None]
    released: Mapped[date | None] = mapped_column(Date)
    summary: Mapped[str | None]
    studio: Mapped[str | None]
    content_rating: Mapped[str | None]
    rating: Mapped[float | None]
    duration: Mapped[int | None]
    genres: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    thumb: Mapped[str | None]
    art: Mapped[str | None]
    child_count: Mapped[int | None]
    leaf_count: Mapped[int | None]
    resolution: Mapped[str | None]
    size: Mapped[int | None]
    file: Mapped[str | None]
    files: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    added_at: Mapped[datetime | None]
    updated_at: Mapped[datetime | None]
    hash: Mapped[int]
    listed_hash: Mapped[int | None]
    deleted_at: Mapped[datetime | None]
    search: Mapped[str | None] = mapped_column(
        TSVECTOR,
        Computed(
            "to_tsvector('simple', folded(title || ' ' || coalesce(original_title, '') || ' ' "
            "|| coalesce(show_title, '')))",
            persisted=True,
        ),
        deferred=True,
    )


class WatchState(Base):
    """A user's watch state of an item; without a row: never watched. `view_offset`: milliseconds; None: not started."""

    __tablename__ = "watch_states"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    item_id: Mapped[str] = mapped_column(
        ForeignKey("media_items.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    view_count: Mapped[int]
    view_offset: Mapped[int | None]
    rating: Mapped[float | None]
    last_viewed_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]


class WatchLook(Base):
    """When a user's watch states were last fetched from a server: `looked_at` changes only, `whole_at` all of them."""

    __tablename__ = "watch_looks"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    server_id: Mapped[str] = mapped_column(primary_key=True)
    looked_at: Mapped[datetime]
    whole_at: Mapped[datetime]
