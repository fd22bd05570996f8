"""Structured logs on standard output: JSON in production, readable lines on a laptop, secrets nowhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

from config.redaction import BLANK, LONGEST, is_secret_name, redacted, redacted_trace
from config.settings import Settings

EventDict = MutableMapping[str, Any]

# What structlog itself puts in: never a secret, and not to be copied.
_OURS = frozenset(
    {"_record", "_from_structlog", "level", "logger", "timestamp", "correlation_id", "exc_info"}
)


def redact(_: Any, __: str, event: EventDict) -> EventDict:
    """Blank what a key calls secret, and what looks like a secret anywhere else."""
    for key, value in event.items():
        if key == "exception" and isinstance(value, str):
            event[key] = redacted_trace(value)
        elif key not in _OURS:
            event[key] = BLANK if is_secret_name(key) else redacted(value)
    return event


def _json(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=lambda value: str(value)[:LONGEST]).decode()


def _without_trace(record: logging.LogRecord) -> bool:
    """Let a record pass, but for its stack trace: to lose the broker is no mistake of ours."""
    record.exc_info = record.exc_text = None
    return True


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
    logging.raiseExceptions = (
        settings.development
    )  # what can't be written would be shown as it is, secrets and all
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel("WARNING" if settings.log_level == "warn" else settings.log_level.upper())
    for chatty in ("kombu", "amqp", "urllib3", "alembic"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    if root.level > logging.DEBUG:  # one line for each bell, ours says more
        for chatty in ("celery.app.trace", "celery.worker.strategy", "celery.beat"):
            logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
        logging.getLogger("celery.worker.consumer.consumer").addFilter(_without_trace)
