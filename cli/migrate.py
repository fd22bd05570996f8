"""`medianest migrate`: the release step, run before the processes of a new version start."""

from __future__ import annotations

import argparse

from sqlalchemy.exc import OperationalError

from cli.errors import CommandError
from config.settings import Settings
from engine.monitoring.heartbeats import forget_dead
from models.migrate import upgrade
from models.session import Database


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: it has none."""


def run(_args: argparse.Namespace, settings: Settings) -> int:
    """Bring the database of DATABASE_URL to the newest schema.

    Raises:
        CommandError: there is none, or it can't be reached.
    """
    if not settings.database_url:
        raise CommandError("DATABASE_URL is not set; the embedded database is migrated by `medianest up`")
    try:
        upgrade(settings.database_url)
        database = Database(settings.database_url, pool_size=1)
        with database.unit_of_work() as db:
            forget_dead(db)  # or the heartbeats of a run that was killed would pass for this one's
        database.close()
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise CommandError(f"the database of DATABASE_URL can't be reached: {reason}") from None
    return 0
