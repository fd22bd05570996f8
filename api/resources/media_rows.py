"""Films, shows, seasons and episodes as clients see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import marshmallow as ma
from marshmallow import validate
from sqlalchemy.orm import Session

from api.wire.fields import Choice, Count, Flag, PageQuery, Pagination, Schema, Text, nullable, required
from api.wire.pictures import picture_url
from config.settings import Settings
from engine.plex.catalogue import items as catalogue_items
from engine.plex.catalogue.current import Catalogue
from engine.plex.catalogue.versions import versions
from engine.plex.watching import states as watch_states
from engine.plex.watching.states import NEVER, Seen
from models.media import MediaItem

_SYNCED = "How old all of it is: when a sync last went through."


class IdsSchema(Schema):
    """What others call it."""

    imdb = nullable(ma.fields.String)
    tmdb = nullable(ma.fields.String)
    tvdb = nullable(ma.fields.String)


class MediaItemSchema(Schema):
    """A film, show, season or episode, and how far the asking user is with it."""

    id = ma.fields.String(required=True)
    rating_key = required(ma.fields.String, about="As Plex calls it now.")
    library = required(ma.fields.String, about="The key of its library.")
    type = ma.fields.String(required=True, validate=validate.OneOf(catalogue_items.TYPES))
    title = ma.fields.String(required=True)
    original_title = nullable(ma.fields.String)
    show_title = nullable(ma.fields.String)
    show_id = nullable(ma.fields.String)
    season_id = nullable(ma.fields.String)
    edition = nullable(ma.fields.String)
    year = nullable(ma.fields.Integer)
    index = nullable(ma.fields.Integer, about="Of the season or episode.")
    parent_index = nullable(ma.fields.Integer, about="Of an episode's season.")
    released_at = nullable(ma.fields.Date)
    summary = nullable(ma.fields.String)
    studio = nullable(ma.fields.String)
    content_rating = nullable(ma.fields.String)
    rating = nullable(ma.fields.Float)
    duration = nullable(ma.fields.Integer, about="Milliseconds.")
    genres = ma.fields.List(ma.fields.String(), required=True)
    ids = ma.fields.Nested(IdsSchema, required=True)
    resolution = nullable(ma.fields.String, about="The best, as Plex says: 4k, 1080, 720, sd.")
    size = nullable(ma.fields.Integer, about="Bytes of all its files.")
    child_count = nullable(ma.fields.Integer)
    leaf_count = nullable(ma.fields.Integer, about="How many episodes it has.")
    added_at = nullable(ma.fields.DateTime)
    updated_at = nullable(ma.fields.DateTime)
    deleted_at = nullable(ma.fields.DateTime, about="Since when Plex has it no more.")
    poster = nullable(
        ma.fields.String, about="Address of a picture; needs no sign-in. Other widths: see its operation."
    )
    art = nullable(ma.fields.String, about="The same of a background.")
    watched = required(ma.fields.Boolean, about="The user has seen it, or all of its episodes.")
    view_count = required(ma.fields.Integer, about="How often; of a show or season: how many episodes.")
    view_offset = nullable(ma.fields.Integer, about="Milliseconds, where they are in the middle.")
    last_viewed_at = nullable(ma.fields.DateTime)


class VersionFileSchema(Schema):
    """One file of a version."""

    path = nullable(
        ma.fields.String, about="As the Plex server sees it; only for those who configure integrations."
    )
    size = nullable(ma.fields.Integer)
    duration = nullable(ma.fields.Integer)


class VersionSchema(Schema):
    """One version of a film or episode, such as that in 4k beside that in 1080."""

    resolution = nullable(ma.fields.String)
    video_codec = nullable(ma.fields.String)
    audio_codec = nullable(ma.fields.String)
    audio_channels = nullable(ma.fields.Integer)
    container = nullable(ma.fields.String)
    bitrate = nullable(ma.fields.Integer, about="kbit/s.")
    width = nullable(ma.fields.Integer)
    height = nullable(ma.fields.Integer)
    languages = nullable(ma.fields.List, ma.fields.String())
    files = ma.fields.List(ma.fields.Nested(VersionFileSchema), required=True)


class MediaDetailsSchema(MediaItemSchema):
    """An item with its versions, and the seasons or episodes below it."""

    versions = ma.fields.List(ma.fields.Nested(VersionSchema), required=True)
    children = ma.fields.List(ma.fields.Nested(MediaItemSchema), required=True)
    synced_at = nullable(ma.fields.DateTime, about=_SYNCED)


class ItemsPage(Schema):
    """A page of items."""

    items = ma.fields.List(ma.fields.Nested(MediaItemSchema), required=True)
    pagination = ma.fields.Nested(Pagination, required=True)
    synced_at = nullable(ma.fields.DateTime, about=_SYNCED)


class ItemsQuery(PageQuery):
    """Which items of a library."""

    sort = Choice(
        catalogue_items.SORTS,
        load_default="addedAt:desc",
        metadata={"description": "Titles rise and all else falls unless said."},
    )
    type = Choice(catalogue_items.TYPES, metadata={"description": "Default: films and shows."})
    genre = Text(100, strip=True)
    year = Count(1, 9999)
    year_from = Count(1, 9999)
    year_to = Count(1, 9999)
    resolution = Text(20, strip=True, metadata={"description": "Such as 4k, 1080p, 720, sd."})
    unwatched = Flag(
        metadata={"description": "true: what the user has not seen (all of); false: what they have."}
    )
    search = Text(200, strip=True, metadata={"description": "Words with which words of the title begin."})


def item_rows(
    db: Session, settings: Settings, catalogue: Catalogue, user_id: str, items: Sequence[Any]
) -> list[dict[str, Any]]:
    """Items of a page with the user's watch states."""
    seen = watch_states.of_items(db, user_id, catalogue.server_id, items)
    lineage = catalogue_items.lineage(db, catalogue, items)
    return [item_row(settings, item, seen.get(item.id, NEVER), lineage) for item in items]


def item_row(settings: Settings, item: Any, seen: Seen, lineage: Mapping[str, str]) -> dict[str, Any]:
    """One item; `lineage` has the ids of seasons and shows by rating key."""
    there = item.deleted_at is None
    show_key = {"season": item.parent_key, "episode": item.grandparent_key}.get(item.type)
    season_key = item.parent_key if item.type == "episode" else None
    return {
        "id": item.id,
        "ratingKey": item.rating_key,
        "library": item.section_key,
        "type": item.type,
        "title": item.title,
        "originalTitle": item.original_title,
        "showTitle": item.show_title,
        "showId": lineage.get(show_key or ""),
        "seasonId": lineage.get(season_key or ""),
        "edition": item.edition,
        "year": item.year,
        "index": item.item_index,
        "parentIndex": item.parent_index if item.type == "episode" else None,
        "releasedAt": item.released,
        "summary": item.summary,
        "studio": item.studio,
        "contentRating": item.content_rating,
        "rating": item.rating,
        "duration": item.duration,
        "genres": item.genres or [],
        "ids": {"imdb": item.imdb_id, "tmdb": item.tmdb_id, "tvdb": item.tvdb_id},
        "resolution": item.resolution,
        "size": item.size,
        "childCount": item.child_count,
        "leafCount": item.leaf_count,
        "addedAt": item.added_at,
        "updatedAt": item.updated_at,
        "deletedAt": item.deleted_at,
        "poster": picture_url(settings, item.id, "poster", item.thumb if there else None),
        "art": picture_url(settings, item.id, "art", item.art if there else None),
        "watched": seen.watched(item.type, item.leaf_count),
        "viewCount": seen.views,
        "viewOffset": seen.offset,
        "lastViewedAt": seen.last_viewed_at,
    }


def version_rows(item: MediaItem, *, paths: bool) -> list[dict[str, Any]]:
    """The versions of an item; the paths of its files only with `paths`."""
    return [
        VersionSchema.row(
            version,
            files=[VersionFileSchema.row(file, path=file.path if paths else None) for file in version.files],
        )
        for version in versions(item)
    ]
