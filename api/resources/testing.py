"""`/test`: a clean slate and some timings, on development servers only."""

from __future__ import annotations

from datetime import UTC, datetime

import marshmallow as ma
from flask import Response

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import PUBLIC, Access, Answers
from api.security.authentication import clear_cookies
from api.wire.envelope import success
from api.wire.fields import Schema, nullable
from engine.monitoring import performance
from engine.permissions import Permission
from engine.reset import reset

blueprint = Blueprint("test", "/test", "For development: exists only with APP_ENV=development.")


class TestHealthSchema(Schema):
    """The test endpoints are there."""

    status = ma.fields.String(required=True, metadata={"enum": ["ok"]})
    environment = ma.fields.String(required=True)
    timestamp = ma.fields.DateTime(required=True)


class ResetSchema(Schema):
    """Done."""

    reset = ma.fields.Boolean(required=True)


class PerformanceSchema(Schema):
    """Milliseconds; null where nobody answered."""

    job_start = nullable(
        ma.fields.Float, about="From sending a job that does nothing to its start in a worker."
    )
    job_round_trip = nullable(ma.fields.Float, about="From sending it to having its answer.")
    query = nullable(ma.fields.Float, about="A query.")
    redis = nullable(ma.fields.Float, about="A Redis round trip.")


@blueprint.operation("GET", "/health", PUBLIC, Answers({200: TestHealthSchema}))
def test_health(call: Call) -> Response:
    """Whether the test endpoints are there."""
    environment = call.settings.app_env
    return success({"status": "ok", "environment": environment, "timestamp": datetime.now(UTC)})


@blueprint.operation(
    "POST",
    "/reset",
    Access(Permission.SETTINGS_MANAGE, session_only=True, confirmed="always"),
    Answers({200: ResetSchema}),
    own_units=True,
)
def reset_everything(call: Call) -> Response:
    """Empty the database and Redis; everyone is signed out."""
    reset(call.runtime, call.actor)
    answer = success({"reset": True})
    clear_cookies(answer, call.settings)
    return answer


@blueprint.operation(
    "GET",
    "/performance",
    Access(Permission.SETTINGS_MANAGE),
    Answers({200: PerformanceSchema}),
    own_units=True,
)
def measure_performance(call: Call) -> Response:
    """How long a job that does nothing, a query and a Redis trip take."""
    return success(PerformanceSchema.row(performance.measure(call.runtime, call.parts.send_noop)))
