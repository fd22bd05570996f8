"""Databases that tests use one after the other: emptied for the next, and replaced where emptying does not suffice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import count

import psycopg
from engines import idle_backends, keep_connections, let_go

# Rows of the catalog that each change of the schema adds, replaces or takes away, and what else a database may hold.
_SHAPE = """
SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_constraint), (SELECT count(*) FROM pg_proc),
    (SELECT count(*) FROM pg_trigger), (SELECT count(*) FROM pg_depend), (SELECT count(*) FROM pg_statistic),
    (SELECT count(*) FROM pg_largeobject_metadata),
    (SELECT count(*) FROM pg_db_role_setting WHERE setdatabase <> 0),
    (SELECT string_agg(version_num, ' ') FROM alembic_version)
"""
_CHANGED_SINCE = " OR ".join(
    f"EXISTS (SELECT FROM {catalog} WHERE age(xmin) < age(%(since)s::xid))"
    for catalog in ("pg_class", "pg_attribute", "pg_constraint", "pg_proc", "pg_trigger", "pg_depend")
)
_END_OTHERS = """
SELECT coalesce(bool_and(pg_terminate_backend(pid, 5000)), true) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    AND pid <> ALL(%(kept)s)
"""
# The planner takes a table that was never analyzed for ten pages at least: below that, dead rows change no plan.
_FEW = 10 * 8192
_TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
_GROWN = f"{_TABLES} AND pg_relation_size(oid) > {_FEW} AND relname <> 'alembic_version'"
_SEQUENCES = "SELECT relname FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace"


@dataclass
class _Lent:
    """A database with the connection that empties it, and what it was like when it was made.

    Attributes:
        since: the transaction after which its schema was changed by nobody but us.
    """

    name: str
    url: str
    connection: psycopg.Connection
    shape: tuple[object, ...]
    since: str
    emptying: str


class Databases:
    """The databases of a server whose `medianest` is the migrated template."""

    def __init__(self, server_url: str) -> None:
        self._url = server_url
        self._numbers = count(1)
        self._free: list[_Lent] = []
        self._admin = psycopg.connect(self._plain("postgres"), autocommit=True)

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The URL of a migrated, empty database that nobody is connected to."""
        database = self._free.pop() if self._free else self._made()
        try:
            yield database.url
        finally:
            if _is_empty_again(database):
                self._free.append(database)
            else:
                self._drop(database)

    def close(self) -> None:
        """Drop what is there."""
        while self._free:
            self._drop(self._free.pop())
        self._admin.close()

    def _made(self) -> _Lent:
        name = f"t{next(self._numbers)}"
        # A copy of its files costs a fifth of what copying through the log does.
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE medianest STRATEGY FILE_COPY")  # type: ignore[arg-type]
        connection = psycopg.connect(self._plain(name), autocommit=True)
        deleted = "; ".join(
            f"DELETE FROM {table}" for table in _names(connection, _TABLES) if table != "alembic_version"
        )
        started = "; ".join(f"SELECT setval('{each}', 1, false)" for each in _names(connection, _SEQUENCES))
        # No triggers, which would count what goes, and no foreign keys, whose order would matter.
        emptying = f"SET LOCAL session_replication_role = replica; {deleted}; {started}"
        url = self._url.replace("/medianest?", f"/{name}?")
        keep_connections(url)
        return _Lent(name, url, connection, _shape(connection), _now(connection), emptying)

    def _drop(self, database: _Lent) -> None:
        database.connection.close()
        let_go(database.url)
        self._admin.execute(f"DROP DATABASE IF EXISTS {database.name} WITH (FORCE)")  # type: ignore[arg-type]

    def _plain(self, name: str) -> str:
        return self._url.replace("+psycopg", "").replace("/medianest?", f"/{name}?")


@cache
def databases_of(server_url: str) -> Databases:
    """The one pool of this process for a server."""
    return Databases(server_url)


def _is_empty_again(database: _Lent) -> bool:
    """End who is connected, with locks and LISTENs, and empty all tables; False where more than rows was changed.

    Connections that are kept for the next test are not ended.
    """
    connection = database.connection
    with suppress(psycopg.Error):  # a test may have ended our connection, or dropped the database
        others = connection.execute(_END_OTHERS, {"kept": idle_backends(database.url)}).fetchone()
        if others != (True,) or _shape(connection) != database.shape or _schema_changed(database):
            return False
        with connection.transaction():
            connection.execute(database.emptying)  # type: ignore[call-overload]
            for table in _names(connection, _GROWN):
                connection.execute(f"TRUNCATE {table} CASCADE")  # type: ignore[arg-type]
        database.since = _now(connection)
        return True
    return False


def _schema_changed(database: _Lent) -> bool:
    found = database.connection.execute(f"SELECT {_CHANGED_SINCE}", {"since": database.since}).fetchone()  # type: ignore[arg-type]
    return found != (False,)


def _shape(connection: psycopg.Connection) -> tuple[object, ...]:
    return connection.execute(_SHAPE).fetchone() or ()


def _now(connection: psycopg.Connection) -> str:
    (number,) = connection.execute("SELECT pg_current_xact_id()::xid::text").fetchone() or ("",)
    return str(number)


def _names(connection: psycopg.Connection, query: str) -> list[str]:
    return [name for (name,) in connection.execute(query)]  # type: ignore[call-overload]
