"""`/users/me/watchlist`: whether what one puts on one's Plex watchlist is asked for, and what became of it."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from marshmallow import validate

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.wire.envelope import success
from api.wire.fields import Flag, PageQuery, Pagination, Schema, nullable, page_data, required
from engine.permissions import Permission
from engine.watchlists import own
from models.watchlist import OUTCOMES, WatchlistEntry

blueprint = Blueprint("watchlist", "/users/me/watchlist", "One's Plex watchlist, which is asked for.")


class WatchlistEntrySchema(Schema):
    """A title that is or was on the list."""

    media_type = ma.fields.String(required=True, validate=validate.OneOf(["movie", "tv"]))
    tmdb_id = nullable(ma.fields.String)
    title = ma.fields.String(required=True)
    year = nullable(ma.fields.Integer)
    outcome = ma.fields.String(required=True, validate=validate.OneOf(OUTCOMES))
    reason = nullable(ma.fields.String, about="A sentence about the outcome.")
    request_id = nullable(ma.fields.String)
    try_at = nullable(ma.fields.DateTime, about="Of one that waits: when it is tried again.")
    created_at = required(ma.fields.DateTime, about="When it was first seen on the list.")


class WatchlistSchema(Schema):
    """Whether the list is read, and a page of what was ever on it, newest first."""

    enabled = ma.fields.Boolean(required=True)
    linked = required(
        ma.fields.Boolean, about="Whether one signed in with Plex, with which the list is read."
    )
    read_at = nullable(ma.fields.DateTime, about="When all of it was last known.")
    error = nullable(ma.fields.String, about="Why it could not be read the last time.")
    items = ma.fields.List(ma.fields.Nested(WatchlistEntrySchema), required=True)
    pagination = ma.fields.Nested(Pagination, required=True)


class WatchlistBody(Schema):
    """Whether it is read from now on."""

    enabled = Flag(required=True)


@blueprint.operation(
    "GET", "", Access(Permission.MEDIA_REQUEST), Answers({200: WatchlistSchema}), Takes(query=PageQuery)
)
def get_watchlist(call: Call, query: dict[str, Any]) -> Response:
    """What became of the titles on one's Plex watchlist."""
    return success(_row(own.of(call.db, call.identity.user_id, **query)))


@blueprint.operation(
    "PUT",
    "",
    Access(Permission.MEDIA_REQUEST),
    Answers({200: WatchlistSchema}, errors=(409,)),
    Takes(body=WatchlistBody),
)
def put_watchlist(call: Call, body: dict[str, Any]) -> Response:
    """Have what is on it asked for from now on, or no more; what was asked for stays so."""
    own.switch(call.db, call.identity.user_id, call.actor, on=body["enabled"])
    return success(_row(own.of(call.db, call.identity.user_id)))


def _row(found: own.OwnWatchlist) -> dict[str, Any]:
    items = page_data(found.entries, [_entry(entry) for entry in found.entries.items])
    return {
        "enabled": found.enabled,
        "linked": found.linked,
        "readAt": found.read_at,
        "error": found.error,
        **items,
    }


def _entry(entry: WatchlistEntry) -> dict[str, Any]:
    return {
        "mediaType": entry.type,
        "tmdbId": entry.tmdb_id,
        "title": entry.title,
        "year": entry.year,
        "outcome": entry.outcome,
        "reason": entry.reason,
        "requestId": entry.request_id,
        "tryAt": entry.due_at if entry.outcome == "waiting" else None,
        "createdAt": entry.created_at,
    }
