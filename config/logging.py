"""Structured logs on standard output: JSON in production, readable lines on a laptop, secrets nowhere."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

from config.settings import Settings

_SECRET_KEY = re.compile(r"(password|token|secret|authorization|cookie|api_?key)", re.IGNORECASE)
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/@\s:]*:[^/@\s]+(?=@)")

EventDict = MutableMapping[str, Any]


def redact(_: Any, __: str, event: EventDict) -> EventDict:
    """Blank what a key calls secret, and passwords inside URLs."""
    for key, value in event.items():
        if _SECRET_KEY.search(key):
            event[key] = "[redacted]"
        elif isinstance(value, str) and "://" in value:
            event[key] = _URL_CREDENTIALS.sub("[redacted]", value)
    return event


def _json(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()


def configure_logging(settings: Settings) -> None:
    """Send everything, libraries included, to standard output with time, level, logger and correlation id."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared[:3], *shared[4:], structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), pad_event_to=24)
        if settings.app_env == "development"
        else structlog.processors.JSONRenderer(serializer=_json)
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel("WARNING" if settings.log_level == "warn" else settings.log_level.upper())
    for chatty in ("kombu", "amqp", "urllib3", "alembic"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    if root.level > logging.DEBUG:  # one line for each bell, ours says more
        for chatty in ("celery.app.trace", "celery.worker.strategy", "celery.beat"):
            logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
