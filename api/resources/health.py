"""`/health` for whoever watches the process, `/api/v1/health` for the services behind it."""

from __future__ import annotations

from datetime import UTC, datetime

import marshmallow as ma
from flask import Response

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import ANY_QUERY, PUBLIC, Answers
from api.wire.envelope import bare, failure, success
from api.wire.fields import Schema

STATES = ("online", "degraded", "offline", "disabled")

root = Blueprint("process", "", "Whether the process serves.", root=True, limit=None)
blueprint = Blueprint("health", "/health", "Whether everything behind it does.", limit=None)


class AliveSchema(Schema):
    """Outside the envelope, for simple watchers."""

    enveloped = False

    status = ma.fields.String(required=True, metadata={"enum": ["ok"]})
    timestamp = ma.fields.DateTime(required=True)


def _state() -> ma.fields.String:
    return ma.fields.String(required=True, metadata={"enum": list(STATES)})


class ServicesSchema(Schema):
    """`disabled`: not configured."""

    database = _state()
    redis = _state()
    workers = _state()
    beat = _state()
    plex = _state()


class HealthSchema(Schema):
    """The state of the whole and of its services."""

    status = ma.fields.String(required=True, metadata={"enum": ["healthy", "degraded", "unhealthy"]})
    services = ma.fields.Nested(ServicesSchema, required=True)
    timestamp = ma.fields.DateTime(required=True)


class UnhealthySchema(Schema):
    """The answer without a database: an error that still carries the state of all services."""

    enveloped = False

    success = ma.fields.Boolean(required=True, metadata={"enum": [False]})
    data = ma.fields.Nested(HealthSchema, required=True)
    error = ma.fields.Dict(required=True)
    correlation_id = ma.fields.String(required=True)


@root.operation("GET", "/health", PUBLIC, Answers({200: AliveSchema}), ANY_QUERY, own_units=True)
def alive(call: Call) -> Response:
    """Whether this process serves."""
    return bare({"status": "ok", "timestamp": datetime.now(UTC)})


@blueprint.operation(
    "GET", "", PUBLIC, Answers({200: HealthSchema, 503: UnhealthySchema}), ANY_QUERY, own_units=True
)
def check_health(call: Call) -> Response:
    """Whether database, Redis, workers and beat answer; within about two seconds, however they fail."""
    health = call.parts.health.check()
    data = {"status": health.status, "services": health.services, "timestamp": datetime.now(UTC)}
    if health.status == "unhealthy":
        return failure("DATABASE_ERROR", "The database can't be reached.", 503, data=data)
    return success(data)
