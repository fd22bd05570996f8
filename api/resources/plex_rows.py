"""The Plex server, its libraries and its collections as clients see them."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import validate

from api.resources.media_rows import MediaItemSchema
from api.wire.fields import Pagination, Schema, nullable, required
from api.wire.pictures import picture_url
from config.settings import Settings
from engine.plex.catalogue import artwork, current
from models.plex_library import PlexCollection, PlexSection


class MediaServerSchema(Schema):
    """The Plex server."""

    name = ma.fields.String(required=True)
    version = nullable(ma.fields.String)
    platform = nullable(ma.fields.String)
    machine_identifier = required(ma.fields.String, attribute="server_id")
    plex_pass = nullable(ma.fields.Boolean)
    libraries = ma.fields.Integer(required=True)
    users = ma.fields.Integer(required=True)
    users_from = required(
        ma.fields.String,
        about="plex: everybody whom the server knows; medianest: while it does not tell, those who "
        "signed in here with Plex.",
        validate=validate.OneOf(("plex", "medianest")),
    )
    seen_at = nullable(ma.fields.DateTime, about="When it last answered.")
    synced_at = nullable(ma.fields.DateTime)


class MediaLibrarySchema(Schema):
    """A library."""

    key = ma.fields.String(required=True)
    title = ma.fields.String(required=True)
    type = required(ma.fields.String, about="movie, show, artist or photo.")
    count = required(ma.fields.Integer, about="Films, shows, artists or photos.")
    seasons = nullable(ma.fields.Integer)
    episodes = nullable(ma.fields.Integer)
    hidden = required(ma.fields.Boolean, about="In Plex; then it is not in search and recently added.")
    scanned_at = nullable(ma.fields.DateTime)
    poster = nullable(ma.fields.String)


class MediaLibrariesSchema(Schema):
    """A page of the libraries."""

    libraries = ma.fields.List(ma.fields.Nested(MediaLibrarySchema), required=True)
    pagination = ma.fields.Nested(Pagination, required=True)
    synced_at = nullable(ma.fields.DateTime)


class RecentSchema(Schema):
    """What was added last."""

    items = ma.fields.List(ma.fields.Nested(MediaItemSchema), required=True)
    pagination = ma.fields.Nested(Pagination, required=True)
    synced_at = nullable(ma.fields.DateTime)


class MediaCollectionSchema(Schema):
    """A collection."""

    id = ma.fields.String(required=True)
    library = required(ma.fields.String, attribute="section_key")
    title = ma.fields.String(required=True)
    summary = nullable(ma.fields.String)
    type = nullable(ma.fields.String, about="Of what is in it.", attribute="subtype")
    smart = ma.fields.Boolean(required=True)
    child_count = ma.fields.Integer(required=True)
    added_at = nullable(ma.fields.DateTime)
    updated_at = nullable(ma.fields.DateTime)
    poster = nullable(ma.fields.String)


class MediaCollectionDetailsSchema(MediaCollectionSchema):
    """A collection and a page of what is in it."""

    items = ma.fields.List(ma.fields.Nested(MediaItemSchema), required=True)
    pagination = ma.fields.Nested(Pagination, required=True)
    synced_at = nullable(ma.fields.DateTime)


def library_row(
    settings: Settings, section: PlexSection, counted: dict[tuple[str, str], int]
) -> dict[str, Any]:
    """A library; `counted` has the number of items by library and type."""
    shows, source = section.type == "show", artwork.library_source(section)
    return MediaLibrarySchema.row(
        section,
        count=current.shown_count(section, counted),
        seasons=counted.get((section.key, "season"), 0) if shows else None,
        episodes=counted.get((section.key, "episode"), 0) if shows else None,
        poster=picture_url(settings, artwork.LIBRARY + section.key, "poster", source),
    )


def collection_row(settings: Settings, row: PlexCollection) -> dict[str, Any]:
    """A collection, without what is in it."""
    subject = artwork.COLLECTION + row.rating_key
    return MediaCollectionSchema.row(
        row, id=subject, poster=picture_url(settings, subject, "poster", row.thumb)
    )
