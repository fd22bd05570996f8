"""`/admin/audit`: who did what to whom, from where."""

from __future__ import annotations

from typing import Any, get_args

import marshmallow as ma
from flask import Response
from marshmallow import validate

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.wire.envelope import success
from api.wire.fields import Choice, PageQuery, Schema, Text, nullable, page_data, page_of, required
from engine import audit
from engine.permissions import Permission
from models.audit import AuditEntry

blueprint = Blueprint("audit", "/admin/audit", "Who did what to whom, from where.")

OUTCOMES = get_args(audit.Outcome)


class AuditQuery(PageQuery):
    """Which entries: those that fit all that is given."""

    actor = Text(100, metadata={"description": "The id of who did it."})
    action = Text(
        100, metadata={"description": "Such as user.role_changed; user. stands for all that begin so."}
    )
    subject = Text(300, metadata={"description": "The id of whom or what it was done to."})
    outcome = Choice(OUTCOMES)
    address = Text(300, metadata={"description": "From where; 10.0. stands for all that begin so."})
    since = ma.fields.AwareDateTime(data_key="from", metadata={"description": "Not older than this."})
    until = ma.fields.AwareDateTime(data_key="to", metadata={"description": "Older than this."})


class ActorSchema(Schema):
    """Who did it."""

    id = ma.fields.String(required=True)
    name = nullable(ma.fields.String, about="Their name at that time.")


class SubjectSchema(Schema):
    """To whom or what it was done."""

    kind = ma.fields.String(required=True)
    id = nullable(ma.fields.String)
    name = nullable(ma.fields.String, about="Its name at that time.")


class AuditEntrySchema(Schema):
    """One thing that somebody did or tried."""

    id = ma.fields.String(required=True)
    at = required(ma.fields.DateTime, attribute="created_at")
    action = ma.fields.String(required=True)
    outcome = ma.fields.String(required=True, validate=validate.OneOf(OUTCOMES))
    actor = nullable(
        ma.fields.Nested, ActorSchema, about="None for nobody we know, and for the server itself."
    )
    subject = nullable(ma.fields.Nested, SubjectSchema)
    address = nullable(ma.fields.String)
    correlation_id = nullable(ma.fields.String)
    details = nullable(ma.fields.Dict, about="Further facts.")


AuditPage = page_of(AuditEntrySchema)


@blueprint.operation(
    "GET", "", Access(Permission.USERS_MANAGE), Answers({200: AuditPage}), Takes(query=AuditQuery)
)
def list_audit_entries(call: Call, query: dict[str, Any]) -> Response:
    """The audit log, newest first."""
    page = audit.listing(
        call.db,
        page=query["page"],
        limit=query["limit"],
        filters={
            "actor_id": query.get("actor"),
            "action": query.get("action"),
            "subject_id": query.get("subject"),
            "outcome": query.get("outcome"),
            "address": query.get("address"),
        },
        since=query.get("since"),
        until=query.get("until"),
    )
    return success(page_data(page, [audit_row(entry) for entry in page.items]))


def audit_row(entry: AuditEntry) -> dict[str, Any]:
    """An entry as clients see it."""
    about = {"kind": entry.subject_kind, "id": entry.subject_id, "name": entry.subject_name}
    return AuditEntrySchema.row(
        entry,
        actor=None if entry.actor_id is None else {"id": entry.actor_id, "name": entry.actor_name},
        subject=None if entry.subject_kind is None else about,
    )
