"""`/plex/activity` and `/plex/statistics`: what people watched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
from flask import Response
from marshmallow import validate

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.wire.envelope import success
from api.wire.fields import Choice, Count, PageQuery, Schema, Text, nullable, page_data, page_of, required
from engine.permissions import Permission
from engine.plex.server import connection
from engine.plex.watching import activity, statistics

blueprint = Blueprint("plex activity", "/plex", "What people watched.")


class ActivityQuery(PageQuery):
    """Which activities: those that fit all that is given."""

    user = Text(80, metadata={"description": "The id of a user; only one's own without `operations.view`."})
    item = Text(80, metadata={"description": "The id of a title of the catalogue."})
    event = Choice(activity.EVENTS)
    since = ma.fields.AwareDateTime(data_key="from", metadata={"description": "Not older than this."})
    until = ma.fields.AwareDateTime(data_key="to", metadata={"description": "Older than this."})


class ActivitySchema(Schema):
    """One thing that somebody did in Plex."""

    id = ma.fields.String(required=True)
    event = ma.fields.String(required=True, validate=validate.OneOf(activity.EVENTS))
    user_id = nullable(ma.fields.String, about="Null: none of ours.")
    account_name = nullable(ma.fields.String, about="What Plex calls them.")
    item_id = nullable(ma.fields.String, about="Null: not in the catalogue.")
    rating_key = nullable(ma.fields.String)
    type = nullable(ma.fields.String, attribute="media_type")
    title = ma.fields.String(required=True)
    player = nullable(ma.fields.String)
    local = nullable(ma.fields.Boolean, about="At the server's home.")
    rating = nullable(ma.fields.Float)
    view_offset = nullable(ma.fields.Integer, about="Milliseconds from the beginning.")
    at = ma.fields.DateTime(required=True)


class StatisticsQuery(Schema):
    """Of how long."""

    days = Count(1, 366, load_default=30, metadata={"description": "Today and the days before, in UTC."})


class SumsSchema(Schema):
    """How much was watched."""

    plays = required(ma.fields.Integer, about="Begun.")
    views = required(ma.fields.Integer, about="Seen to the end.")
    watch_seconds = required(ma.fields.Integer, about="Between beginnings and ends that were both told of.")


class UserSumsSchema(SumsSchema):
    """What one person watched."""

    user_id = nullable(ma.fields.String, about="Null: none of ours.")
    name = nullable(ma.fields.String)


class TitleSumsSchema(SumsSchema):
    """How much one title was watched."""

    title = ma.fields.String(required=True)
    item_id = nullable(ma.fields.String)
    type = nullable(ma.fields.String)


class DaySumsSchema(SumsSchema):
    """What was watched on a day."""

    date = ma.fields.Date(required=True)


class StatisticsSchema(Schema):
    """What was watched, added up."""

    days = ma.fields.Integer(required=True)
    since = ma.fields.DateTime(required=True)
    total = ma.fields.Nested(SumsSchema, required=True)
    by_user = ma.fields.List(ma.fields.Nested(UserSumsSchema), required=True)
    by_title = ma.fields.List(ma.fields.Nested(TitleSumsSchema), required=True)
    by_day = ma.fields.List(ma.fields.Nested(DaySumsSchema), required=True)


ActivityPage = page_of(ActivitySchema)


@blueprint.operation(
    "GET",
    "/activity",
    Access(Permission.MEDIA_READ),
    Answers({200: ActivityPage}, errors=(404,)),
    Takes(query=ActivityQuery),
)
def list_activity(call: Call, query: dict[str, Any]) -> Response:
    """What one did oneself, newest first; what everybody did with `operations.view`."""
    connection.refuse_if_off(call.settings)
    asked, own = query.pop("user", None), _only(call)
    if own is not None and asked not in {None, own}:
        asked = ""  # matches no user: activity of others is not shown
    page = activity.listing(
        call.db, user_id=own if asked is None else asked, item_id=query.pop("item", None), **query
    )
    return success(page_data(page, [ActivitySchema.row(row) for row in page.items]))


@blueprint.operation(
    "GET",
    "/statistics",
    Access(Permission.MEDIA_READ),
    Answers({200: StatisticsSchema}, errors=(404,)),
    Takes(query=StatisticsQuery),
)
def show_statistics(call: Call, query: dict[str, Any]) -> Response:
    """What one watched oneself; what everybody watched with `operations.view`. The 50 titles that were played most."""
    connection.refuse_if_off(call.settings)
    found = statistics.recent(call.db, call.settings, days=query["days"], user_id=_only(call))
    return success(
        {
            "days": query["days"],
            "since": found.since,
            "total": _sums(found.total),
            "byUser": [
                {"userId": row["user_id"], "name": row["name"], **_sums(row)} for row in found.by_user
            ],
            "byTitle": [
                {"title": row["title"], "itemId": row["item_id"], "type": row["type"], **_sums(row)}
                for row in found.by_title
            ],
            "byDay": [{"date": row["day"], **_sums(row)} for row in found.by_day],
        }
    )


def _only(call: Call) -> str | None:
    """The user whose activity the caller may see: themselves, or everybody (None)."""
    return None if Permission.OPERATIONS_VIEW in call.identity.permissions else call.identity.user_id


def _sums(row: Mapping[str, Any]) -> dict[str, int]:
    return {"plays": row["plays"], "views": row["views"], "watchSeconds": row["seconds"]}
