"""Films, shows, seasons and episodes as clients see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import marshmallow as ma
from marshmallow import validate
from sqlalchemy.orm import Session

from api.wire.fields import Choice, Count, Flag, PageQuery, Pagination, Schema, Text
from api.wire.unversioned_paths import PREFIX
from config.settings import Settings
from engine.plex.catalogue import artwork
from engine.plex.catalogue import items as catalogue
from engine.plex.catalogue.version import Shelf
from engine.plex.watching import states as watch_states
from engine.plex.watching.states import NEVER, Seen
from models.media import MediaItem

_SYNCED = "How old all of it is: when a sync last went through."


class IdsSchema(Schema):
    """What others call it."""

    imdb = ma.fields.String(required=True, allow_none=True)
    tmdb = ma.fields.String(required=True, allow_none=True)
    tvdb = ma.fields.String(required=True, allow_none=True)


class MediaItemSchema(Schema):
    """A film, show, season or episode, and how far the asking user is with it."""

    id = ma.fields.String(required=True)
    rating_key = ma.fields.String(required=True, metadata={"description": "As Plex calls it now."})
    library = ma.fields.String(required=True, metadata={"description": "The key of its library."})
    type = ma.fields.String(required=True, validate=validate.OneOf(catalogue.TYPES))
    title = ma.fields.String(required=True)
    original_title = ma.fields.String(required=True, allow_none=True)
    show_title = ma.fields.String(required=True, allow_none=True)
    show_id = ma.fields.String(required=True, allow_none=True)
    season_id = ma.fields.String(required=True, allow_none=True)
    edition = ma.fields.String(required=True, allow_none=True)
    year = ma.fields.Integer(required=True, allow_none=True)
    index = ma.fields.Integer(
        required=True, allow_none=True, metadata={"description": "Of the season or episode."}
    )
    parent_index = ma.fields.Integer(
        required=True, allow_none=True, metadata={"description": "Of an episode's season."}
    )
    released_at = ma.fields.Date(required=True, allow_none=True)
    summary = ma.fields.String(required=True, allow_none=True)
    studio = ma.fields.String(required=True, allow_none=True)
    content_rating = ma.fields.String(required=True, allow_none=True)
    rating = ma.fields.Float(required=True, allow_none=True)
    duration = ma.fields.Integer(required=True, allow_none=True, metadata={"description": "Milliseconds."})
    genres = ma.fields.List(ma.fields.String(), required=True)
    ids = ma.fields.Nested(IdsSchema, required=True)
    resolution = ma.fields.String(
        required=True, allow_none=True, metadata={"description": "The best, as Plex says: 4k, 1080, 720, sd."}
    )
    size = ma.fields.Integer(
        required=True, allow_none=True, metadata={"description": "Bytes of all its files."}
    )
    child_count = ma.fields.Integer(required=True, allow_none=True)
    leaf_count = ma.fields.Integer(
        required=True, allow_none=True, metadata={"description": "How many episodes it has."}
    )
    added_at = ma.fields.DateTime(required=True, allow_none=True)
    updated_at = ma.fields.DateTime(required=True, allow_none=True)
    deleted_at = ma.fields.DateTime(
        required=True, allow_none=True, metadata={"description": "Since when Plex has it no more."}
    )
    poster = ma.fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Address of a picture; needs no sign-in. Other widths: see its operation."},
    )
    art = ma.fields.String(
        required=True, allow_none=True, metadata={"description": "The same of a background."}
    )
    watched = ma.fields.Boolean(
        required=True, metadata={"description": "The user has seen it, or all of its episodes."}
    )
    view_count = ma.fields.Integer(
        required=True, metadata={"description": "How often; of a show or season: how many episodes."}
    )
    view_offset = ma.fields.Integer(
        required=True, allow_none=True, metadata={"description": "Milliseconds, where he is in the middle."}
    )
    last_viewed_at = ma.fields.DateTime(required=True, allow_none=True)


class VersionFileSchema(Schema):
    """One file of a version."""

    path = ma.fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "As the Plex server sees it; only for those who configure integrations."},
    )
    size = ma.fields.Integer(required=True, allow_none=True)
    duration = ma.fields.Integer(required=True, allow_none=True)


class VersionSchema(Schema):
    """One version of a film or episode, such as that in 4k beside that in 1080."""

    resolution = ma.fields.String(required=True, allow_none=True)
    video_codec = ma.fields.String(required=True, allow_none=True)
    audio_codec = ma.fields.String(required=True, allow_none=True)
    audio_channels = ma.fields.Integer(required=True, allow_none=True)
    container = ma.fields.String(required=True, allow_none=True)
    bitrate = ma.fields.Integer(required=True, allow_none=True, metadata={"description": "kbit/s."})
    width = ma.fields.Integer(required=True, allow_none=True)
    height = ma.fields.Integer(required=True, allow_none=True)
    languages = ma.fields.List(ma.fields.String(), required=True, allow_none=True)
    files = ma.fields.List(ma.fields.Nested(VersionFileSchema), required=True)


class MediaDetailsSchema(MediaItemSchema):
    """An item with its versions, and the seasons or episodes below it."""

    versions = ma.fields.List(ma.fields.Nested(VersionSchema), required=True)
    children = ma.fields.List(ma.fields.Nested(MediaItemSchema), required=True)
    synced_at = ma.fields.DateTime(required=True, allow_none=True, metadata={"description": _SYNCED})


class ItemsPage(Schema):
    """A page of items."""

    items = ma.fields.List(ma.fields.Nested(MediaItemSchema), required=True)
    pagination = ma.fields.Nested(Pagination, required=True)
    synced_at = ma.fields.DateTime(required=True, allow_none=True, metadata={"description": _SYNCED})


class ItemsQuery(PageQuery):
    """Which items of a library."""

    sort = Choice(
        catalogue.SORTS,
        load_default="addedAt:desc",
        metadata={"description": "Titles rise and all else falls unless said."},
    )
    type = Choice(catalogue.TYPES, metadata={"description": "Default: films and shows."})
    genre = Text(100, strip=True)
    year = Count(1, 9999)
    resolution = Text(20, strip=True, metadata={"description": "Such as 4k, 1080p, 720, sd."})
    unwatched = Flag(
        metadata={"description": "true: what the user has not seen (all of); false: what he has."}
    )
    search = Text(200, strip=True, metadata={"description": "Words with which words of the title begin."})


def item_rows(
    db: Session, settings: Settings, shelf: Shelf, user_id: str, items: Sequence[Any]
) -> list[dict[str, Any]]:
    """Items of a page with the user's watch states."""
    seen = watch_states.of_items(db, user_id, shelf.server_id, items)
    lineage = catalogue.lineage(db, shelf, items)
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
    """The versions of an item; where its files are is only told with `paths`."""
    return [
        {
            "resolution": _text(version.get("resolution")),
            "videoCodec": _text(version.get("videoCodec")),
            "audioCodec": _text(version.get("audioCodec")),
            "audioChannels": _number(version.get("audioChannels")),
            "container": _text(version.get("container")),
            "bitrate": _number(version.get("bitrate")),
            "width": _number(version.get("width")),
            "height": _number(version.get("height")),
            "languages": version.get("languages"),
            "files": [
                {
                    "path": _text(part.get("file")) if paths else None,
                    "size": part.get("size"),
                    "duration": part.get("duration"),
                }
                for part in version.get("parts") or ()
            ],
        }
        for version in item.files or ()
    ]


def picture_url(settings: Settings, subject: str, kind: artwork.Kind, source: str | None) -> str | None:
    """The signed address of a picture; None where there is none."""
    query = artwork.query(settings, subject, kind, source)
    return None if query is None else f"{PREFIX}/plex/artwork/{subject}?{urlencode(query)}"


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _number(value: Any) -> int | None:
    """Plex tells numbers as text now and then."""
    try:
        return None if value is None else int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None
