"""`/plex/syncs`: bringing the catalogue in step with Plex, by hand, and what each sync did."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from marshmallow import validate

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.wire.envelope import success
from api.wire.fields import Choice, Flag, PageQuery, Pagination, Schema, nullable, page_data, required
from api.wire.unversioned_paths import PREFIX
from engine.permissions import Permission
from engine.plex.server import connection
from engine.plex.sync import runs as sync

blueprint = Blueprint("plex syncs", "/plex/syncs", "Keeping in step with Plex.")


class SyncRequest(Schema):
    """Which sync."""

    full = Flag(
        load_default=False,
        metadata={
            "description": "Lists everything, and so sees what is gone, instead of what Plex has touched."
        },
    )


class SyncsQuery(PageQuery):
    """Which syncs."""

    status = Choice(sync.STATUSES)


class SyncCountsSchema(Schema):
    """What became of items."""

    created = ma.fields.Integer(required=True)
    updated = ma.fields.Integer(required=True)
    deleted = ma.fields.Integer(required=True)
    unchanged = required(ma.fields.Integer, about="Looked at, and as before.")


class SyncedSectionSchema(SyncCountsSchema):
    """What was done with one library; a sync of single items has one line for all, without a key."""

    key = ma.fields.String(required=True)
    title = ma.fields.String(required=True)
    type = ma.fields.String(required=True)
    mode = ma.fields.String(
        required=True,
        validate=validate.OneOf(["full", "incremental", "unchanged", "counted", "gone", "items", "failed"]),
    )
    listed = required(ma.fields.Integer, about="Items that Plex told of.")
    held_back = required(
        ma.fields.Integer, about="Deletions that wait for the next full sync to confirm them."
    )
    complete = required(ma.fields.Boolean, about="false: it changed while it was listed, or failed.")
    seconds = ma.fields.Float(required=True)
    note = nullable(ma.fields.String)


class SyncErrorSchema(Schema):
    """Why the last attempt failed."""

    kind = ma.fields.String(required=True)
    message = ma.fields.String(required=True)
    advice = ma.fields.String(required=True)
    retryable = ma.fields.Boolean(required=True)


class SyncSchema(Schema):
    """A sync; the events sync:started, progress, completed and failed carry the same."""

    id = ma.fields.String(required=True)
    status = ma.fields.String(required=True, validate=validate.OneOf(sync.STATUSES))
    full = ma.fields.Boolean(required=True)
    trigger = ma.fields.String(
        required=True, validate=validate.OneOf(["schedule", "night", "manual", "push", "webhook"])
    )
    created_at = ma.fields.DateTime(required=True)
    started_at = nullable(ma.fields.DateTime)
    finished_at = nullable(ma.fields.DateTime)
    counts = ma.fields.Nested(SyncCountsSchema, required=True)
    sections = ma.fields.List(ma.fields.Nested(SyncedSectionSchema), required=True)
    attempt = ma.fields.Integer(required=True)
    error = nullable(ma.fields.Nested, SyncErrorSchema)


class SyncsPage(Schema):
    """A page of syncs."""

    items = ma.fields.List(ma.fields.Nested(SyncSchema), required=True)
    pagination = ma.fields.Nested(Pagination, required=True)


class SyncChangeSchema(Schema):
    """What a sync did with one item."""

    item_id = ma.fields.String(required=True)
    change = required(
        ma.fields.String,
        attribute="kind",
        about="restored: it was deleted, and is back; moved: Plex gave it another key.",
        validate=validate.OneOf(["added", "updated", "removed", "restored", "moved"]),
    )
    type = ma.fields.String(required=True)
    title = ma.fields.String(required=True)


class SyncReportSchema(SyncSchema):
    """A sync with what it did."""

    changes = required(
        ma.fields.List,
        ma.fields.Nested(SyncChangeSchema),
        about=f"In that order, the first {sync.MOST_SHOWN}; counts has the whole numbers.",
    )


@blueprint.operation(
    "GET",
    "",
    Access(Permission.INTEGRATIONS_CONFIGURE),
    Answers({200: SyncsPage}, errors=(404,)),
    Takes(query=SyncsQuery),
)
def list_syncs(call: Call, query: dict[str, Any]) -> Response:
    """The syncs, newest first."""
    connection.refuse_if_off(call.settings)
    page = sync.listing(call.db, **query)
    return success(page_data(page, [sync.row(run) for run in page.items]))


@blueprint.operation(
    "POST",
    "",
    Access(Permission.INTEGRATIONS_CONFIGURE),
    Answers(
        {202: SyncSchema, 200: SyncSchema},
        errors=(404, 409, 503),
        headers={"Location": "Where the sync is found (202)."},
    ),
    Takes(body=SyncRequest),
    limit="work",
)
def start_sync(call: Call, body: dict[str, Any]) -> Response:
    """Start a sync (202), or join the one that is waiting or running (200); a full one follows one that is not."""
    run, new = sync.start_by_hand(call.db, call.settings, full=body["full"], actor=call.actor)
    if not new:
        return success(sync.row(run))
    return success(sync.row(run), 202, headers={"Location": f"{PREFIX}/plex/syncs/{run.id}"})


@blueprint.operation(
    "GET",
    "/<id:sync_id>",
    Access(Permission.INTEGRATIONS_CONFIGURE),
    Answers({200: SyncReportSchema}, errors=(404,)),
)
def get_sync(call: Call, sync_id: str) -> Response:
    """A sync, and what it added, changed and removed."""
    connection.refuse_if_off(call.settings)
    run = sync.get(call.db, sync_id)
    changes = [SyncChangeSchema.row(change) for change in sync.changes(call.db, run.id)]
    return success({**sync.row(run), "changes": changes})


@blueprint.operation(
    "DELETE",
    "/<id:sync_id>",
    Access(Permission.INTEGRATIONS_CONFIGURE),
    Answers({200: SyncSchema}, errors=(404, 409)),
)
def cancel_sync(call: Call, sync_id: str) -> Response:
    """Cancel a sync: at once where it waits, within 3 seconds where it runs; what it has written stays."""
    connection.refuse_if_off(call.settings)
    return success(sync.row(sync.cancel_by_hand(call.db, sync_id, call.actor)))
