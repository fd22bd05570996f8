"""`/dashboard/notifications`: one's own notifications."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.wire.envelope import success
from api.wire.errors import InvalidRequest
from api.wire.fields import Flag, PageQuery, Pagination, Schema, Text, nullable, page_data, required
from engine.notifications import notifications
from engine.permissions import Permission

MOST_IDS = 500  # in one request

blueprint = Blueprint("notifications", "/dashboard/notifications", "What one has been told.")


class NotificationSubjectSchema(Schema):
    """What a notification is about."""

    kind = ma.fields.String(required=True)
    id = ma.fields.String(required=True)


class NotificationSchema(Schema):
    """Something that one was told; `notification:new` carries the same."""

    id = ma.fields.String(required=True)
    type = required(ma.fields.String, about="A word for programs, such as security.sign_in.")
    title = ma.fields.String(required=True)
    message = ma.fields.String(required=True)
    subject = nullable(ma.fields.Nested, NotificationSubjectSchema)
    read = ma.fields.Boolean(required=True)
    created_at = ma.fields.DateTime(required=True)


class NotificationsPage(Schema):
    """A page of notifications, and how many of all were not read yet."""

    items = ma.fields.List(ma.fields.Nested(NotificationSchema), required=True)
    unread = ma.fields.Integer(required=True)
    pagination = ma.fields.Nested(Pagination, required=True)


class NotificationsQuery(PageQuery):
    """Which notifications."""

    unread = Flag(metadata={"description": "true: only those not read yet; false: only the others."})


class ReadRequest(Schema):
    """Which notifications were read: some, or all."""

    ids = ma.fields.List(Text(80), validate=ma.validate.Length(1, MOST_IDS))
    all = Flag(validate=ma.validate.Equal(True))


class ReadSchema(Schema):
    """How many were not read before."""

    read = ma.fields.Integer(required=True)


@blueprint.operation(
    "GET",
    "",
    Access(Permission.MEDIA_READ),
    Answers({200: NotificationsPage}),
    Takes(query=NotificationsQuery),
)
def list_notifications(call: Call, query: dict[str, Any]) -> Response:
    """One's own notifications, newest first."""
    mine = call.identity.user_id
    page = notifications.listing(call.db, mine, **query)
    rows = page_data(page, [notifications.shown(row) for row in page.items])
    return success({**rows, "unread": notifications.unread_count(call.db, mine)})


@blueprint.operation(
    "POST",
    "/read",
    Access(Permission.MEDIA_READ),
    Answers({200: ReadSchema}, errors=(404,)),
    Takes(body=ReadRequest),
)
def read_notifications(call: Call, body: dict[str, Any]) -> Response:
    """Mark one's own notifications as read; either `ids` or `all` is given."""
    if len(body) != 1:
        raise InvalidRequest({name: ["Give either ids or all, and not both."] for name in ("ids", "all")})
    return success({"read": notifications.mark_read(call.db, call.identity.user_id, body.get("ids"))})
