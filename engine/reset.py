"""Reset: empties the product, for development."""

from __future__ import annotations

import redis
import structlog
from sqlalchemy import text

from engine.audit import Actor
from engine.identity.confirmation import require_person
from engine.runtime import Runtime
from models.base import Base

log = structlog.get_logger(__name__)


def reset(runtime: Runtime, actor: Actor) -> None:
    """Empty every table and our Redis database; all sessions end.

    The next caller of the bootstrap becomes the first administrator. Running jobs lose their rows and stop.

    Raises:
        ConfirmationRequired: the proof that a person asks is missing or too old.
        sqlalchemy.exc.OperationalError: no database, or a table is busy for too long.
    """
    require_person(actor, "system.reset")
    tables = ", ".join(f'"{table.name}"' for table in Base.metadata.sorted_tables)
    with runtime.unit_of_work() as db:
        db.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
    try:
        runtime.redis.flushdb()
    except redis.RedisError as error:
        log.warning("reset.redis_away", error=type(error).__name__)
