"""Puts rows into a database whose tables are made by our own migrations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from cli.errors import CommandError
from cli.maintenance.dump import Dump
from models import migrate

_CHUNK = 1 << 20
_REVISION = "alembic_version"

_TABLES = text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
_COLUMNS = text(
    "SELECT table_name, column_name FROM information_schema.columns "
    "WHERE table_schema = 'public' AND is_generated = 'NEVER'"
)
_SEQUENCES = text("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'")
_FOREIGN_KEYS = text(
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE contype = 'f' AND connamespace = 'public'::regnamespace"
)


def replace(database_url: str, revision: str, dump: Dump) -> list[str]:
    """Replace all of a database, and bring it to this version's schema, in one transaction.

    Args:
        database_url: for psycopg.
        revision: of the rows.
        dump: the rows.

    Returns:
        The tables of the dump that are none of ours, and were left out.

    Raises:
        CommandError: the rows do not fit their tables, or the database can't be used; it is what it was.
    """
    engine = create_engine(database_url, connect_args={"connect_timeout": 5})
    try:
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '10s'"))
            migrate.rebuild(connection, revision)
            foreign = _load(connection, dump)
            migrate.upgrade_on(connection)
    except (psycopg.Error, SQLAlchemyError) as error:
        raise CommandError(f"nothing was changed: {_reason(error)}") from None
    finally:
        engine.dispose()
    return foreign


def _load(connection: Connection, dump: Dump) -> list[str]:
    ours = set(connection.scalars(_TABLES)) - {_REVISION}
    if missing := ours - set(dump.rows):
        raise CommandError(
            f"the database in this backup is incomplete: it has no {', '.join(sorted(missing))}"
        )
    known = {(table, column) for table, column in connection.execute(_COLUMNS)}
    driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
    with driver.cursor() as cursor:
        keys = [tuple(row) for row in connection.execute(_FOREIGN_KEYS)]
        for table, name, _ in keys:  # rows come in the order of the alphabet
            cursor.execute(_sql("ALTER TABLE {} DROP CONSTRAINT {}", table, name))
        for table in sorted(ours):
            if odd := [column for column in dump.columns[table] if (table, column) not in known]:
                raise CommandError(f"the database in this backup is damaged: {table} has no column {odd[0]}")
            # What follows from a row is in the dump too.
            cursor.execute(_sql("ALTER TABLE {} DISABLE TRIGGER USER", table))
            cursor.execute(_sql("TRUNCATE {}", table))
            _copy(cursor, table, dump.columns[table], dump.rows[table])
            cursor.execute(_sql("ALTER TABLE {} ENABLE TRIGGER USER", table))
        for table, name, definition in keys:
            cursor.execute(_sql("ALTER TABLE {} ADD CONSTRAINT {} " + definition, table, name))
        for sequence in connection.scalars(_SEQUENCES):
            if sequence in dump.sequences:
                cursor.execute("SELECT setval(%s::regclass, %s, %s)", (sequence, *dump.sequences[sequence]))
    return sorted(set(dump.rows) - ours - {_REVISION})


def _copy(cursor: psycopg.Cursor[Any], table: str, columns: tuple[str, ...], rows: Path) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with rows.open("rb") as source, cursor.copy(statement) as target:
        while chunk := source.read(_CHUNK):
            target.write(chunk)


def _sql(template: str, *names: str) -> sql.Composed:
    return sql.SQL(template).format(*map(sql.Identifier, names))


def _reason(error: psycopg.Error | SQLAlchemyError) -> str:
    """What the database said, without the row that it was about."""
    cause = getattr(error, "orig", None) or error
    said = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
    return said or (str(cause).strip().splitlines() or ["no reason given"])[0]
