"""`/admin/requests` and `/admin/request-rules`: everybody's requests, decided together, and by rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import marshmallow as ma
from flask import Response
from marshmallow import validate

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.resources.media_requests import MOST_COMMENT, RequestsQuery, by_status
from api.resources.request_rows import MEDIA_TYPES, RequestPage, request_row
from api.wire.envelope import success
from api.wire.errors import told_details
from api.wire.fields import Choice, Count, Lines, Schema, Text, nullable, page_data
from engine.media_requests import deciding, listing, rules
from engine.media_requests.deciding import Result
from engine.media_requests.rules import VERDICTS
from engine.permissions import ROLES, Permission
from models.media_request import RequestRules

blueprint = Blueprint("admin_requests", "/admin", "Everybody's requests.")

MOST_IDS, MOST_RULES = 500, 100
_DECIDES = Access(Permission.REQUESTS_MANAGE)


class AllRequestsQuery(RequestsQuery):
    """Which requests of everybody."""

    requested_by = Text(80, metadata={"description": "The id of who asked."})


class SeveralBody(Schema):
    """Which requests."""

    ids = ma.fields.List(Text(80), required=True, validate=validate.Length(1, MOST_IDS))


class SeveralDeniedBody(SeveralBody):
    """Which requests, and why."""

    reason = Lines(MOST_COMMENT, 0, strip=True, allow_none=True)


class DecisionErrorSchema(Schema):
    """Why one could not be decided."""

    code = ma.fields.String(required=True)
    message = ma.fields.String(required=True)
    details = nullable(ma.fields.Raw)


class DecisionSchema(Schema):
    """What became of one."""

    id = ma.fields.String(required=True)
    result = ma.fields.String(
        required=True, validate=validate.OneOf(["approved", "denied", "unchanged", "refused"])
    )
    error = nullable(ma.fields.Nested, DecisionErrorSchema)


class DecisionsSchema(Schema):
    """What became of each, in their order."""

    items = ma.fields.List(ma.fields.Nested(DecisionSchema), required=True)


class RuleMatchSchema(Schema):
    """What a rule fits: all that is given must hold."""

    media_type = Choice(MEDIA_TYPES)
    genres = ma.fields.List(Text(60), validate=validate.Length(max=50))
    languages = ma.fields.List(Text(10), validate=validate.Length(max=50))
    content_ratings = ma.fields.List(Text(20), validate=validate.Length(max=50))
    role = Choice(ROLES)
    user_id = Text(80)
    min_year = Count(1800, 2500)
    max_year = Count(1800, 2500)


class RuleSchema(Schema):
    """A rule: the first that fits decides."""

    match = ma.fields.Nested(RuleMatchSchema, required=True)
    then = Choice(VERDICTS, required=True)
    reason = Text(300, 0, allow_none=True)


class QuotaSchema(Schema):
    """So many requests in so many days."""

    count = Count(0, 10_000, required=True)
    days = Count(1, 366, required=True)


class QuotasSchema(Schema):
    """Quotas by role; null: none."""

    guest = ma.fields.Nested(QuotaSchema, allow_none=True)
    user = ma.fields.Nested(QuotaSchema, allow_none=True)
    admin = ma.fields.Nested(QuotaSchema, allow_none=True)
    super_admin = ma.fields.Nested(QuotaSchema, allow_none=True, data_key="super_admin")

    def on_bind_field(self, field_name: str, field_obj: ma.fields.Field[Any]) -> None:
        """Roles keep their names."""
        field_obj.data_key = field_name


class RequestRulesSchema(Schema):
    """The rules in their order, and the quotas of roles."""

    rules = ma.fields.List(ma.fields.Nested(RuleSchema), required=True)
    requests_per_days = ma.fields.Nested(QuotasSchema, required=True)


class RequestRulesBody(Schema):
    """The rules, the quotas, or both; what is not given stays."""

    rules = ma.fields.List(ma.fields.Nested(RuleSchema), validate=validate.Length(max=MOST_RULES))
    requests_per_days = ma.fields.Nested(QuotasSchema)


@blueprint.operation("GET", "/requests", _DECIDES, Answers({200: RequestPage}), Takes(query=AllRequestsQuery))
def list_all_requests(call: Call, query: dict[str, Any]) -> Response:
    """Everybody's requests."""
    page = listing.find(call.db, call.settings, call.identity.user_id, scope="all", **by_status(query))
    return success(page_data(page, [request_row(view) for view in page.items]))


@blueprint.operation(
    "POST",
    "/requests/approve",
    _DECIDES,
    Answers({200: DecisionsSchema}),
    Takes(body=SeveralBody),
    own_units=True,
)
def approve_requests(call: Call, body: dict[str, Any]) -> Response:
    """Approve several; each is judged on its own, and people are told of all together."""
    return _decided(deciding.approve_all(call.runtime, body["ids"], call.actor))


@blueprint.operation(
    "POST",
    "/requests/deny",
    _DECIDES,
    Answers({200: DecisionsSchema}),
    Takes(body=SeveralDeniedBody),
    own_units=True,
)
def deny_requests(call: Call, body: dict[str, Any]) -> Response:
    """Deny several, with one reason; each is judged on its own."""
    return _decided(deciding.deny_all(call.runtime, body["ids"], call.actor, body.get("reason") or None))


@blueprint.operation("GET", "/request-rules", _DECIDES, Answers({200: RequestRulesSchema}))
def get_request_rules(call: Call) -> Response:
    """The rules and quotas."""
    return success(_rules_row(rules.get(call.db)))


@blueprint.operation(
    "PUT", "/request-rules", _DECIDES, Answers({200: RequestRulesSchema}), Takes(body=RequestRulesBody)
)
def put_request_rules(call: Call, body: dict[str, Any]) -> Response:
    """Replace the rules, the quotas of roles, or both."""
    written = body.get("rules")
    quotas = body.get("requests_per_days")
    row = rules.put(
        call.db,
        call.actor,
        rules=None if written is None else [_stored(rule) for rule in written],
        quotas=None if quotas is None else {role: quota for role, quota in quotas.items() if quota},
    )
    return success(_rules_row(row))


def _stored(rule: dict[str, Any]) -> dict[str, Any]:
    match = RuleMatchSchema().dump(rule["match"])
    return {"match": match, "then": rule["then"], "reason": rule.get("reason")}


def _rules_row(row: RequestRules) -> dict[str, Any]:
    quotas = {role: row.quotas.get(role) for role in ROLES}
    return {"rules": list(row.rules), "requestsPerDays": quotas}


def _decided(results: Sequence[Result]) -> Response:
    return success(
        {
            "items": [
                {
                    "id": one.id,
                    "result": one.result,
                    "error": one.error
                    and {
                        "code": one.error.code,
                        "message": one.error.message,
                        "details": told_details(one.error),
                    },
                }
                for one in results
            ]
        }
    )
