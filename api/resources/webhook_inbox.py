"""`/admin/webhooks`: received messages, what became of them, and the senders."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from marshmallow import validate

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.wire.envelope import success
from api.wire.fields import Choice, PageQuery, Schema, Text, nullable, page_data, page_of, required
from api.wire.unversioned_paths import PREFIX
from engine.permissions import Permission
from engine.webhooks import inbox, secrets

blueprint = Blueprint("webhook inbox", "/admin/webhooks", "What other systems told us, and who may.")

MANAGE = Permission.WEBHOOKS_MANAGE


class WebhooksQuery(PageQuery):
    """Which messages: those that fit all that is given."""

    source = Text(80, metadata={"description": "plex, overseerr, or the name of a sender."})
    status = Choice(inbox.STATUSES)
    event = Text(100, metadata={"description": "Such as library.new."})


class WebhookSchema(Schema):
    """A message, and what became of it."""

    id = ma.fields.String(required=True)
    source = ma.fields.String(required=True)
    event = required(ma.fields.String, about="Empty where it does not say.")
    status = ma.fields.String(required=True, validate=validate.OneOf(inbox.STATUSES))
    attempts = required(ma.fields.Integer, attribute="attempt")
    copies = required(ma.fields.Integer, about="How often it came.")
    address = nullable(ma.fields.String, about="Where it came from.")
    outcome = nullable(ma.fields.String, about="What came of it, in words.")
    received_at = required(ma.fields.DateTime, about="When it came; with copies, the first.")
    processed_at = nullable(ma.fields.DateTime, attribute="ended_at")
    error = nullable(ma.fields.Dict)


class WebhookDetailSchema(WebhookSchema):
    """A message with what it says; secrets in it are blanked before it is stored."""

    payload = ma.fields.Dict(required=True)


class SenderRequest(Schema):
    """A new sender of webhooks."""

    name = Text(
        40,
        required=True,
        validate=[
            validate.Regexp(r"\A[a-z0-9][a-z0-9-]*\Z", error="Use small letters, digits and hyphens only.")
        ],
        metadata={"pattern": "^[a-z0-9][a-z0-9-]*$"},
    )


class SenderSchema(Schema):
    """Who may send, with the secret to copy to them."""

    name = ma.fields.String(required=True)
    url = required(ma.fields.String, about="Where they send to.")
    secret = required(ma.fields.String, about="What they sign with.")
    since = required(ma.fields.DateTime, about="When the secret was made.")


class SendersSchema(Schema):
    """Everybody who may send signed messages."""

    senders = ma.fields.List(ma.fields.Nested(SenderSchema), required=True)


WebhookPage = page_of(WebhookSchema)


@blueprint.operation("GET", "", Access(MANAGE), Answers({200: WebhookPage}), Takes(query=WebhooksQuery))
def list_webhooks(call: Call, query: dict[str, Any]) -> Response:
    """All messages of the last 30 days, newest first."""
    page = inbox.listing(call.db, **query)
    return success(page_data(page, [WebhookSchema.row(row) for row in page.items]))


@blueprint.operation(
    "GET", "/<id:webhook_id>", Access(MANAGE), Answers({200: WebhookDetailSchema}, errors=(404,))
)
def get_webhook(call: Call, webhook_id: str) -> Response:
    """One message with what it says."""
    row = inbox.get(call.db, webhook_id)
    return success(WebhookDetailSchema.row(row))


@blueprint.operation(
    "POST",
    "/<id:webhook_id>/replay",
    Access(MANAGE),
    Answers(
        {202: WebhookSchema, 200: WebhookSchema}, errors=(404,), headers={"Location": "Where the message is."}
    ),
    limit="work",
)
def replay_webhook(call: Call, webhook_id: str) -> Response:
    """Have a message worked on again; 200 where it still is. What it has done before is not done twice."""
    row, again = inbox.replay(call.db, webhook_id, call.actor)
    location = {"Location": f"{PREFIX}/admin/webhooks/{row.id}"}
    return success(WebhookSchema.row(row), 202 if again else 200, location)


@blueprint.operation("GET", "/senders", Access(MANAGE), Answers({200: SendersSchema}))
def list_webhook_senders(call: Call) -> Response:
    """Who may send signed messages, by name."""
    found = secrets.senders(call.db, call.settings)
    return success({"senders": [SenderSchema.row(sender) for sender in found]})


@blueprint.operation(
    "POST",
    "/senders",
    Access(MANAGE, session_only=True, confirmed="always"),
    Answers({201: SenderSchema}, errors=(409,)),
    Takes(body=SenderRequest),
)
def create_webhook_sender(call: Call, body: dict[str, Any]) -> Response:
    """Add a sender of signed webhooks, with a new secret."""
    sender = secrets.create(call.db, call.settings, body["name"], call.actor)
    return success(SenderSchema.row(sender), 201)


@blueprint.operation(
    "POST",
    "/senders/<id:name>/rotate",
    Access(MANAGE, session_only=True, confirmed="always"),
    Answers({200: SenderSchema}, errors=(404,)),
)
def rotate_webhook_secret(call: Call, name: str) -> Response:
    """Make another secret, for `plex` and `overseerr` too; the one before opens nothing from now on."""
    sender = secrets.rotate(call.db, call.settings, name, call.actor)
    return success(SenderSchema.row(sender))


@blueprint.operation(
    "DELETE",
    "/senders/<id:name>",
    Access(MANAGE, session_only=True, confirmed="always"),
    Answers({200: SenderSchema}, errors=(404, 409)),
)
def delete_webhook_sender(call: Call, name: str) -> Response:
    """Remove a sender; the webhooks received from it stay."""
    sender = secrets.delete(call.db, call.settings, name, call.actor)
    return success(SenderSchema.row(sender))
