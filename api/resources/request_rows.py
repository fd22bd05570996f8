"""Requests as clients see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import marshmallow as ma
from marshmallow import validate

from api.resources.availability_rows import AvailabilitySchema, availability_row
from api.wire.fields import Schema, nullable, page_of, required
from engine.media_requests.listing import CommentView, Person, RequestView
from engine.media_requests.timeline import TimelineEntry
from engine.media_requests.transitions import STATUSES
from engine.titles.titles import POSTER_SIZE, picture

MEDIA_TYPES = ("movie", "tv", "video")


class RequestPersonSchema(Schema):
    """Somebody; without an id where they have no account here."""

    id = nullable(ma.fields.String)
    name = ma.fields.String(required=True)


class RequestSeasonSchema(Schema):
    """A season that is asked for."""

    number = ma.fields.Integer(required=True)
    status = ma.fields.String(
        required=True, validate=validate.OneOf(["pending", "processing", "partial", "available"])
    )


class FulfilmentChoiceSchema(Schema):
    """Another way that an admin may choose."""

    by = ma.fields.String(required=True)
    label = ma.fields.String(required=True)


class FulfilmentErrorSchema(Schema):
    """Why it failed."""

    kind = required(ma.fields.String, about="A word for programs.")
    message = ma.fields.String(required=True)
    advice = nullable(ma.fields.String)
    retryable = ma.fields.Boolean(required=True)
    choices = ma.fields.List(ma.fields.Nested(FulfilmentChoiceSchema), required=True)


class FulfilmentSchema(Schema):
    """How it is fulfilled."""

    by = nullable(ma.fields.String, validate=validate.OneOf(["overseerr", "hand", "download"]))
    reference = nullable(ma.fields.String, about="Of the request at Overseerr, or of the download.")
    status = nullable(ma.fields.String, about="What it is there.")
    error = nullable(ma.fields.Nested, FulfilmentErrorSchema)


class RequestSchema(Schema):
    """Something that somebody asked for."""

    id = ma.fields.String(required=True)
    media_type = ma.fields.String(required=True, validate=validate.OneOf(MEDIA_TYPES))
    tmdb_id = nullable(ma.fields.String)
    url = nullable(ma.fields.String)
    title = ma.fields.String(required=True)
    year = nullable(ma.fields.Integer)
    poster = nullable(ma.fields.String)
    quality = nullable(ma.fields.String)
    comment = nullable(ma.fields.String)
    seasons = ma.fields.List(ma.fields.Nested(RequestSeasonSchema), required=True)
    status = ma.fields.String(required=True, validate=validate.OneOf(STATUSES))
    deny_reason = nullable(ma.fields.String)
    requested_by = nullable(ma.fields.Nested, RequestPersonSchema)
    decided_by = nullable(ma.fields.Nested, RequestPersonSchema)
    decided_at = nullable(ma.fields.DateTime)
    following = ma.fields.Boolean(required=True)
    followers = required(ma.fields.Integer, about="Without who asked.")
    download_id = nullable(ma.fields.String)
    fulfilment = ma.fields.Nested(FulfilmentSchema, required=True)
    availability = ma.fields.Nested(AvailabilitySchema, required=True)
    created_at = ma.fields.DateTime(required=True)
    updated_at = ma.fields.DateTime(required=True)


class TimelineEntrySchema(Schema):
    """Something that happened to it."""

    at = ma.fields.DateTime(required=True)
    step = required(ma.fields.String, about="A word for programs.")
    text = ma.fields.String(required=True)
    by = nullable(ma.fields.String, about="The name of who caused it; null for the server.")
    correlation_id = nullable(ma.fields.String)


class CommentSchema(Schema):
    """What somebody wrote below it."""

    id = ma.fields.String(required=True)
    text = ma.fields.String(required=True)
    by = nullable(ma.fields.Nested, RequestPersonSchema)
    at = ma.fields.DateTime(required=True)


class RequestDetailsSchema(RequestSchema):
    """A request with all that happened to it."""

    waiting_for = nullable(ma.fields.String, about="Why it is not there yet, in a sentence.")
    timeline = ma.fields.List(ma.fields.Nested(TimelineEntrySchema), required=True)
    comments = ma.fields.List(ma.fields.Nested(CommentSchema), required=True)


RequestPage = page_of(RequestSchema)


def request_row(view: RequestView) -> dict[str, Any]:
    """A request as clients see it."""
    return RequestSchema.row(view.request, **_computed(view))


def details_row(
    view: RequestView,
    waiting_for: str | None,
    timeline: Sequence[TimelineEntry],
    comments: Sequence[CommentView],
) -> dict[str, Any]:
    """A request with its history and comments."""
    return RequestDetailsSchema.row(
        view.request,
        **_computed(view),
        waiting_for=waiting_for,
        timeline=[TimelineEntrySchema.row(entry) for entry in timeline],
        comments=[comment_row(comment) for comment in comments],
    )


def comment_row(comment: CommentView) -> dict[str, Any]:
    """A comment as clients see it."""
    return CommentSchema.row(comment, by=_person(comment.by))


def _computed(view: RequestView) -> dict[str, Any]:
    request = view.request
    error = request.error
    return {
        "poster": picture(request.poster, POSTER_SIZE),
        "seasons": [RequestSeasonSchema.row(season) for season in view.seasons],
        "requested_by": _person(view.requested_by),
        "decided_by": _person(view.decided_by),
        "following": view.following,
        "fulfilment": {
            "by": request.by,
            "reference": request.reference or request.download_id,
            "status": request.upstream,
            "error": error
            and {
                "kind": error["kind"],
                "message": error["message"],
                "advice": error.get("advice"),
                "retryable": error.get("retryable", True),
                "choices": error.get("choices", []),
            },
        },
        "availability": availability_row(view.availability),
    }


def _person(person: Person | None) -> dict[str, Any] | None:
    return None if person is None else RequestPersonSchema.row(person)
