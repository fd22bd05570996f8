"""What of a title is in Plex, and what of it was asked for, as clients see it."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import validate

from api.wire.fields import Schema, nullable, required
from engine.media_requests.availability import Availability


class SeasonAvailabilitySchema(Schema):
    """A season of a series."""

    number = ma.fields.Integer(required=True)
    episodes = required(ma.fields.Integer, about="That were aired.")
    available = required(ma.fields.Integer, about="Those of them that are in Plex.")
    requested = ma.fields.Boolean(required=True)


class AvailabilitySchema(Schema):
    """Whether a title is in Plex, by its ids; and whether somebody asked for it."""

    plex = required(ma.fields.Boolean, about="Whether the library has it, or a part of it.")
    requested = ma.fields.Boolean(required=True)
    status = ma.fields.String(
        required=True, validate=validate.OneOf(["none", "requested", "processing", "partial", "available"])
    )
    item_id = nullable(ma.fields.String, about="In the library.")
    request_id = nullable(ma.fields.String, about="Of the newest request that was not denied.")
    seasons = ma.fields.List(ma.fields.Nested(SeasonAvailabilitySchema), required=True)


def availability_row(found: Availability) -> dict[str, Any]:
    """An availability as clients see it."""
    return AvailabilitySchema.row(
        found, seasons=[SeasonAvailabilitySchema.row(season) for season in found.seasons]
    )
