"""`/admin/deliveries`: what was sent to whom by what, and what became of it."""

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
from api.wire.fields import Choice, PageQuery, Schema, Text, nullable, page_data, page_of
from engine.accounts import users
from engine.notifications import deliveries
from engine.notifications.preferences import CHANNEL_KINDS
from engine.permissions import Permission
from models.delivery import Delivery

KINDS = (*CHANNEL_KINDS, deliveries.INSTALLATION)

blueprint = Blueprint("deliveries", "/admin/deliveries", "Messages on their way to people.")


class DeliveriesQuery(PageQuery):
    """Which deliveries."""

    status = Choice(deliveries.STATUSES)
    user = Text(80, metadata={"description": "The id of who is told."})
    kind = Choice(KINDS)


class DeliveryUserSchema(Schema):
    """Who is told."""

    id = ma.fields.String(required=True)
    name = nullable(ma.fields.String)


class DeliveryErrorSchema(Schema):
    """Why it did not arrive."""

    kind = ma.fields.String(required=True)
    message = ma.fields.String(required=True)
    advice = nullable(ma.fields.String)


class DeliverySchema(Schema):
    """One message to one channel."""

    id = ma.fields.String(required=True)
    user = nullable(ma.fields.Nested, DeliveryUserSchema, about="Null for one to NOTIFY_URLS.")
    kind = ma.fields.String(required=True, validate=validate.OneOf(KINDS))
    channel = ma.fields.String(required=True)
    type = ma.fields.String(required=True)
    status = ma.fields.String(required=True, validate=validate.OneOf(deliveries.STATUSES))
    attempts = ma.fields.Integer(required=True)
    error = nullable(ma.fields.Nested, DeliveryErrorSchema)
    due_at = ma.fields.DateTime(required=True)
    created_at = ma.fields.DateTime(required=True)
    ended_at = nullable(ma.fields.DateTime)


@blueprint.operation(
    "GET",
    "",
    Access(Permission.OPERATIONS_VIEW),
    Answers({200: page_of(DeliverySchema)}),
    Takes(query=DeliveriesQuery),
)
def list_deliveries(call: Call, query: dict[str, Any]) -> Response:
    """Deliveries, newest first."""
    page = deliveries.listing(
        call.db,
        status=query.get("status"),
        user_id=query.get("user"),
        kind=query.get("kind"),
        page=query["page"],
        limit=query["limit"],
    )
    names = users.names(call.db, {row.user_id for row in page.items if row.user_id is not None})
    return success(page_data(page, [_row(row, names) for row in page.items]))


@blueprint.operation(
    "POST",
    "/<id:delivery_id>/retry",
    Access(Permission.OPERATIONS_VIEW),
    Answers({202: DeliverySchema}, errors=(404, 409)),
)
def retry_delivery(call: Call, delivery_id: str) -> Response:
    """Send one again that failed."""
    row = deliveries.retry(call.db, delivery_id, call.actor)
    return success(_row(row, users.names(call.db, [row.user_id] if row.user_id else [])), 202)


def _row(row: Delivery, names: Mapping[str, str]) -> dict[str, Any]:
    error = row.error and {
        "kind": row.error["kind"],
        "message": row.error["message"],
        "advice": row.error.get("advice"),
    }
    return DeliverySchema.row(
        row,
        user=None if row.user_id is None else {"id": row.user_id, "name": names.get(row.user_id)},
        channel=row.shown,
        attempts=row.attempt,
        error=error,
        due_at=row.next_run_at,
    )
