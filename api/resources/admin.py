"""`/admin`: the downloads of all users, and the queues."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from marshmallow import validate

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.resources.download_rows import DownloadSchema, download_row
from api.resources.youtube import DownloadPage, DownloadsQuery, changing, downloads_page
from api.wire.envelope import success
from api.wire.fields import Schema, nullable, required
from config.celery import QUEUES
from engine.monitoring import queues
from engine.monitoring.queues import QueueState
from engine.permissions import Permission

blueprint = Blueprint("admin", "/admin", "What belongs to everyone.")


class ThrottledHostSchema(Schema):
    """A host that downloads leave alone for a while."""

    host = required(ma.fields.String, about="youtube for all of YouTube.", attribute="name")
    reason = required(ma.fields.String, about="The kind of failure that said so.")
    until = required(ma.fields.DateTime, attribute="throttled_until")


class QueueSchema(Schema):
    """A queue, as an operator sees it."""

    name = ma.fields.String(required=True)
    paused = ma.fields.Boolean(required=True)
    paused_at = nullable(ma.fields.DateTime)
    paused_by = nullable(ma.fields.String)
    blocked = nullable(ma.fields.String, about="Why nothing begins: disk.")
    depth = required(ma.fields.Integer, about="Jobs that wait and are due.")
    delayed = required(ma.fields.Integer, about="Jobs that wait for their time.")
    running = ma.fields.Integer(required=True)
    oldest = nullable(ma.fields.DateTime, about="Since when the oldest due job waits.")
    throttled_hosts = ma.fields.List(ma.fields.Nested(ThrottledHostSchema), required=True)


class QueuesSchema(Schema):
    """All queues."""

    queues = ma.fields.List(ma.fields.Nested(QueueSchema), required=True)


class PriorityRequest(Schema):
    """How urgent a download is."""

    priority = required(
        ma.fields.Integer,
        about="What is larger begins earlier; 0 is usual.",
        strict=True,
        validate=validate.Range(-10, 10),
    )


@blueprint.operation(
    "GET",
    "/downloads",
    Access(Permission.REQUESTS_MANAGE),
    Answers({200: DownloadPage}),
    Takes(query=DownloadsQuery),
)
def list_all_downloads(call: Call, query: dict[str, Any]) -> Response:
    """The downloads of all users, newest first."""
    return downloads_page(call, query, owner_id=None)


@blueprint.operation(
    "PATCH",
    "/downloads/<id:download_id>",
    Access(Permission.REQUESTS_MANAGE),
    Answers({200: DownloadSchema}, errors=(409,)),
    Takes(body=PriorityRequest),
)
def set_download_priority(call: Call, body: dict[str, Any], download_id: str) -> Response:
    """Move a queued download up or down."""
    return success(download_row(changing(call).prioritise(download_id, body["priority"])))


@blueprint.operation("GET", "/queues", Access(Permission.OPERATIONS_VIEW), Answers({200: QueuesSchema}))
def list_queues(call: Call) -> Response:
    """How deep each queue is, what runs, and what holds it."""
    return success({"queues": [queue_row(state) for state in queues.overview(call.db, QUEUES)]})


@blueprint.operation(
    "POST",
    "/queues/<id:name>/pause",
    Access(Permission.REQUESTS_MANAGE),
    Answers({200: QueueSchema}, errors=(409,)),
)
def pause_queue(call: Call, name: str) -> Response:
    """Hold a queue: nothing of it begins, what runs goes on."""
    return success(queue_row(queues.pause(call.db, QUEUES, name, call.actor)))


@blueprint.operation(
    "POST", "/queues/<id:name>/resume", Access(Permission.REQUESTS_MANAGE), Answers({200: QueueSchema})
)
def resume_queue(call: Call, name: str) -> Response:
    """Let a queue go on."""
    return success(queue_row(queues.resume(call.db, QUEUES, name, call.actor)))


def queue_row(state: QueueState) -> dict[str, Any]:
    """A queue as clients see it."""
    return QueueSchema.row(
        state,
        paused=state.paused_at is not None,
        throttled_hosts=[ThrottledHostSchema.row(host) for host in state.throttled_hosts],
    )
