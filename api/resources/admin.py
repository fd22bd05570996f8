"""`/admin`: what belongs to everyone, for those who look after it."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from marshmallow import validate

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.resources.youtube import (
    DownloadPage,
    DownloadSchema,
    DownloadsQuery,
    download_row,
    downloads_page,
    note_foreign,
)
from api.wire.envelope import success
from api.wire.fields import Schema
from config.celery import QUEUES
from engine import audit
from engine.audit import Subject
from engine.downloads import downloads
from engine.monitoring import queues
from engine.monitoring.queues import QueueState
from engine.permissions import Permission

blueprint = Blueprint("admin", "/admin", "What belongs to everyone.")


class ThrottledHostSchema(Schema):
    """A host that downloads leave alone for a while."""

    host = ma.fields.String(required=True, metadata={"description": "youtube for all of YouTube."})
    reason = ma.fields.String(required=True, metadata={"description": "The kind of failure that said so."})
    until = ma.fields.DateTime(required=True)


class QueueSchema(Schema):
    """A queue, as an operator sees it."""

    name = ma.fields.String(required=True)
    paused = ma.fields.Boolean(required=True)
    paused_at = ma.fields.DateTime(required=True, allow_none=True)
    paused_by = ma.fields.String(required=True, allow_none=True)
    blocked = ma.fields.String(
        required=True, allow_none=True, metadata={"description": "Why nothing begins: disk."}
    )
    depth = ma.fields.Integer(required=True, metadata={"description": "Jobs that wait and are due."})
    delayed = ma.fields.Integer(required=True, metadata={"description": "Jobs that wait for their time."})
    running = ma.fields.Integer(required=True)
    oldest = ma.fields.DateTime(
        required=True, allow_none=True, metadata={"description": "Since when the oldest due job waits."}
    )
    throttled_hosts = ma.fields.List(ma.fields.Nested(ThrottledHostSchema), required=True)


class QueuesSchema(Schema):
    """All queues."""

    queues = ma.fields.List(ma.fields.Nested(QueueSchema), required=True)


class PriorityRequest(Schema):
    """How urgent a download is."""

    priority = ma.fields.Integer(
        required=True,
        strict=True,
        validate=validate.Range(-10, 10),
        metadata={"description": "What is larger begins earlier; 0 is usual."},
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
    row = downloads.set_priority(call.db, download_id, body["priority"])
    note_foreign(call, "download.priority_changed_by_admin", row, priority=row.priority)
    return success(download_row(row))


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
    state = queues.pause(call.db, QUEUES, name, by=call.identity.user_id)
    audit.record(call.db, "queue.paused", call.actor, Subject("queue", name, name))
    return success(queue_row(state))


@blueprint.operation(
    "POST", "/queues/<id:name>/resume", Access(Permission.REQUESTS_MANAGE), Answers({200: QueueSchema})
)
def resume_queue(call: Call, name: str) -> Response:
    """Let a queue go on."""
    state = queues.resume(call.db, QUEUES, name)
    audit.record(call.db, "queue.resumed", call.actor, Subject("queue", name, name))
    return success(queue_row(state))


def queue_row(state: QueueState) -> dict[str, Any]:
    """A queue as clients see it."""
    return {
        "name": state.name,
        "paused": state.paused_at is not None,
        "pausedAt": state.paused_at,
        "pausedBy": state.paused_by,
        "blocked": state.blocked,
        "depth": state.depth,
        "delayed": state.delayed,
        "running": state.running,
        "oldest": state.oldest,
        "throttledHosts": [
            {"host": host.name, "reason": host.reason, "until": host.throttled_until}
            for host in state.throttled_hosts
        ],
    }
