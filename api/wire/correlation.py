"""The correlation id: taken from the request or made, echoed in the answer, carried into logs, jobs and events."""

from __future__ import annotations

import logging
import re
import secrets
import time

import structlog
from flask import Flask, Response, g, request

HEADER = "X-Correlation-ID"
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,128}")

log = structlog.get_logger(__name__)


def init_app(app: Flask) -> None:
    """Give every request an id, and one line in the log at level debug."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(lambda _: structlog.contextvars.clear_contextvars())


def correlation_id() -> str:
    """The id of this request."""
    given: str | None = g.get("correlation_id")
    if given is None:  # an error before the first hook
        given = g.correlation_id = _choose(request.headers.get(HEADER))
    return given


def _choose(asked: str | None) -> str:
    return asked if asked is not None and _ACCEPTED.fullmatch(asked) else secrets.token_hex(16)


def _begin() -> None:
    g.began = time.perf_counter()
    structlog.contextvars.bind_contextvars(correlation_id=correlation_id())


def _end(response: Response) -> Response:
    response.headers[HEADER] = correlation_id()
    if logging.getLogger(__name__).isEnabledFor(logging.DEBUG):
        took = round((time.perf_counter() - g.get("began", time.perf_counter())) * 1000, 1)
        log.debug(
            "request",
            method=request.method,
            path=ascii(request.path[:300])[1:-1],
            status=response.status_code,
            milliseconds=took,
        )
    return response
