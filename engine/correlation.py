"""The id of the request that a piece of work belongs to, as logs, rows and events bear it."""

from __future__ import annotations

import structlog


def correlation_id() -> str | None:
    """The id of the request that this code works for."""
    value = structlog.contextvars.get_contextvars().get("correlation_id")
    return str(value) if value is not None else None
