"""The error handlers: every exception becomes an answer in the envelope and, by its severity, a log line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import marshmallow as ma
import structlog
from flask import Flask, Response, current_app, request
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from api.wire.envelope import failure
from engine.errors import MediaNestError
from engine.rate_limits.limits import RateLimitExceeded

log = structlog.get_logger(__name__)

RETRY_AFTER = {"Retry-After": "5"}
_MAX_NAMES = 20
_MAX_NAME = 64

# Codes for statuses of werkzeug's exceptions; those of engine.errors bring their own.
CODES = {
    400: "VALIDATION_ERROR",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    416: "VALIDATION_ERROR",
    429: "RATE_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    502: "UPSTREAM_ERROR",
    503: "SERVICE_UNAVAILABLE",
}
UNSUPPORTED = "Send JSON, with Content-Type: application/json."
_MESSAGES = {
    400: "The request is malformed.",
    404: "There is nothing here.",
    405: "This method is not allowed here.",
    413: "The request is too large.",
    415: UNSUPPORTED,
}


class ErrorDetail(ma.Schema):
    """What went wrong."""

    code = ma.fields.String(required=True, metadata={"description": "A word for programs."})
    message = ma.fields.String(required=True, metadata={"description": "A sentence for people."})
    details = ma.fields.Raw(
        required=True,
        allow_none=True,
        metadata={
            "description": "Of a validation error the fields at fault with their messages; of a quota, and of "
            "what is there already, the facts; of others only in development."
        },
    )


class ErrorEnvelope(ma.Schema):
    """The answer to a request that failed."""

    success = ma.fields.Boolean(required=True, metadata={"enum": [False]})
    error = ma.fields.Nested(ErrorDetail, required=True)
    correlationId = ma.fields.String(required=True)  # noqa: N815 - the name that clients see


class InvalidRequest(MediaNestError):
    """A request that does not fit its schema; `details` maps fields to messages."""

    code, status = "VALIDATION_ERROR", 400
    tells_details = True

    def __init__(self, fields: Mapping[str, Any]) -> None:
        shown = {str(name)[:_MAX_NAME]: messages for name, messages in list(fields.items())[:_MAX_NAMES]}
        words = "; ".join(f"{name}: {_first(messages)}" for name, messages in shown.items())
        super().__init__(f"The request is not valid. {words}", shown)


def _first(messages: Any) -> str:
    """The first message in what marshmallow nests."""
    while isinstance(messages, Mapping | list) and messages:
        messages = messages[0] if isinstance(messages, list) else next(iter(messages.values()))
    return str(messages)


def init_app(app: Flask, shown: Callable[[Response], Response]) -> None:
    """Answer every exception.

    Args:
        app: to be extended.
        shown: makes what a browser asked for out of an answer in the envelope.
    """
    handlers: Mapping[type[Exception], Callable[[Any], Response]] = {
        MediaNestError: _known,
        HTTPException: _http,
        OperationalError: _database_away,
        InterfaceError: _database_away,
        PoolTimeout: _database_away,
        DBAPIError: _database_error,
        Exception: _unknown,
    }
    for kind, answer in handlers.items():
        app.register_error_handler(kind, partial(_shown, answer, shown))


def _shown(answer: Callable[[Any], Response], shown: Callable[[Response], Response], error: Any) -> Response:
    return shown(answer(error))


def _known(error: MediaNestError) -> Response:
    _record(error.code, error.status)
    headers = RETRY_AFTER if error.status == 503 else None
    if error.retry_after is not None:
        headers = {"Retry-After": str(error.retry_after)}
    if isinstance(error, RateLimitExceeded):
        headers = {"Retry-After": str(error.verdict.retry_after)}
    return failure(error.code, error.message, error.status, told_details(error), headers)


def told_details(error: MediaNestError) -> Mapping[str, object] | str | None:
    """The details of an error that clients may see: of one that is of no use without them, and in development."""
    return error.details if error.tells_details or _in_development() else None


def _http(error: HTTPException) -> Response:
    if isinstance(error, RequestRedirect) or error.code is None or error.code < 400:
        return Response.force_type(error.get_response())  # type: ignore[return-value]
    code = CODES.get(error.code, "VALIDATION_ERROR" if error.code < 500 else "INTERNAL_ERROR")
    _record(code, error.code)
    message = _MESSAGES.get(error.code, f"{error.name}.")
    details = {"request": [message]} if code == "VALIDATION_ERROR" else None
    headers = {name: value for name, value in error.get_headers() if name in {"Allow", "Retry-After"}}
    return failure(code, message, error.code, details, headers)


def _database_away(error: Exception) -> Response:
    log.critical("database.away", path=_path(), error=_driver_error(error))
    message = "The database can't be reached at the moment. Try again in a few seconds."
    return failure("DATABASE_ERROR", message, 503, headers=RETRY_AFTER)


def _database_error(error: DBAPIError) -> Response:
    return _database_away(error) if error.connection_invalidated else _unknown(error)


def _unknown(error: Exception) -> Response:
    log.error("request.failed", path=_path(), method=request.method, exc_info=error)
    details = {"type": type(error).__name__} if _in_development() else None
    return failure("INTERNAL_ERROR", "Something went wrong on our side.", 500, details)


def _record(code: str, status: int) -> None:
    suspicious = status == 403 or (status == 401 and not _navigates())
    say = log.error if status >= 500 else log.warning if suspicious else log.info
    say("request.refused", code=code, status=status, method=request.method, path=_path())


def _navigates() -> bool:
    """Whether a browser opens a page: without a session it is led to signing in, which is nothing to warn of."""
    return request.method == "GET" and "text/html" in request.headers.get("Accept", "")


def _path() -> str:
    """The path for the log: without its query, which may hold secrets, and without line breaks."""
    return ascii(request.path[:300])[1:-1]


def _driver_error(error: Exception) -> str:
    return type(getattr(error, "orig", None) or error).__name__


def _in_development() -> bool:
    return bool(current_app.config["MEDIANEST_DEVELOPMENT"])
