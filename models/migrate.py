"""Brings a database to the newest schema."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text

_LOCK = 7_240_411  # key of the advisory lock; any number that nothing else uses


def alembic_config(connection: Connection) -> Config:
    """What Alembic's commands need to work on this connection, in its transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def upgrade(database_url: str) -> None:
    """Apply all missing migrations in one transaction; concurrent callers wait for each other.

    Args:
        database_url: a `postgresql+psycopg://` URL.

    Raises:
        sqlalchemy.exc.OperationalError: the database can't be reached.
    """
    engine = create_engine(database_url)
    try:
        with engine.begin() as connection:
            upgrade_on(connection)
    finally:
        engine.dispose()


def upgrade_on(connection: Connection, revision: str = "head") -> None:
    """As `upgrade`, in the caller's transaction; up to `revision`."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    command.upgrade(alembic_config(connection), revision)


def rebuild(connection: Connection, revision: str) -> None:
    """Drop the schema `public` and create the empty tables of `revision`, in the caller's transaction."""
    connection.execute(text("DROP SCHEMA IF EXISTS public CASCADE"))
    connection.execute(text("CREATE SCHEMA public"))
    upgrade_on(connection, revision)
