"""`medianest migrate`: the release step, run before the processes of a new version start."""

from __future__ import annotations

import argparse

import structlog
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from cli.errors import CommandError
from config.logging import configure_logging
from config.settings import Settings
from engine.monitoring.heartbeats import forget_dead
from models.migrate import upgrade
from models.session import Database

log = structlog.get_logger(__name__)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: it has none."""


def run(_args: argparse.Namespace, settings: Settings) -> int:
    """Bring the database of DATABASE_URL to the newest schema.

    Raises:
        CommandError: there is none, or it can't be reached.
    """
    if not settings.database_url:
        raise CommandError("DATABASE_URL is not set; the embedded database is migrated by `medianest up`")
    configure_logging(settings)
    database = Database(settings.database_url, pool_size=1)
    try:
        before = _revision(database)
        upgrade(settings.database_url)
        after = _revision(database)
        if before != after:
            log.info("schema.upgraded", before=before, after=after)
        with database.unit_of_work() as db:
            forget_dead(db)  # or the heartbeats of a run that was killed would pass for this one's
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise CommandError(f"the database of DATABASE_URL can't be reached: {reason}") from None
    finally:
        database.close()
    return 0


def _revision(database: Database) -> str | None:
    """The schema that the database has; None where it has none yet."""
    with database.reading() as db:
        if db.scalar(text("SELECT to_regclass('alembic_version')")) is None:
            return None
        return str(db.scalar(text("SELECT version_num FROM alembic_version")))
