"""The connection pools and the unit of work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from select import select
from typing import Any

import orjson
import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import Engine, Select, create_engine, event, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

AfterCommit = Callable[[dict[Any, Any]], None]


def _refuse_dead(connection: Any, *_: object) -> None:
    """Have the pool replace a connection that PostgreSQL has closed, as after a restart.

    An idle connection has nothing to read; a closed one is readable. Polling the socket costs a microsecond, while
    `pool_pre_ping` costs a round trip per checkout.
    """
    if select([connection], [], [], 0)[0]:
        raise DisconnectionError


def _engine(url: str, pool_size: int, **more: Any) -> Engine:
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=5,
        json_deserializer=orjson.loads,
        hide_parameters=True,  # errors are logged, and parameters may be secrets
        connect_args={
            "connect_timeout": 3,
            # Detect a server that disappeared without closing the connection (a pulled cable, a dead host).
            "tcp_user_timeout": 15_000,  # milliseconds
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "application_name": "medianest",
            "options": "-c timezone=UTC -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s",
        },
        **more,
    )
    event.listen(engine, "checkout", _refuse_dead)
    return engine


class Database:
    """Connections to PostgreSQL: a pool for units of work and one for reading; connects on first use.

    Args:
        url: a `postgresql+psycopg://` URL.
        after_commit: called with `Session.info` after the transaction was committed, to send what the unit has put
            there (bells of jobs, events). Not SQLAlchemy's `after_commit` event, which also fires when a SAVEPOINT is
            released.
        pool_size: connections that a pool keeps open; twice as many may be open at once.
    """

    def __init__(self, url: str, *, after_commit: AfterCommit | None = None, pool_size: int = 5) -> None:
        self.engine = _engine(url, pool_size)
        # A pool of its own: switching a connection's isolation level back and forth costs half a round trip each time.
        self._read_engine = _engine(
            url, pool_size, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True
        )
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._reads = sessionmaker(self._read_engine)
        self._after_commit = after_commit

    @contextmanager
    def unit_of_work(self) -> Iterator[Session]:
        """One transaction: committed when the block ends, rolled back if it raises."""
        with self._sessions() as db:
            yield db
            db.commit()
            info = db.info
        if self._after_commit is not None:
            self._after_commit(info)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A read-only session in AUTOCOMMIT: each statement sees what is committed when it runs.

        READ COMMITTED transactions would see the same, but cost two more round trips for BEGIN and COMMIT.
        """
        with self._reads() as db:
            yield db

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()
        self._read_engine.dispose()

    def forget(self) -> None:
        """After a fork: drop the inherited connections without closing their sockets, which the parent still uses."""
        self.engine.dispose(close=False)
        self._read_engine.dispose(close=False)


@contextmanager
def at_one_moment(db: Session) -> Iterator[None]:
    """Let all statements of a session for reading see what was committed before the first of them.

    For what consists of several statements: a row that changes between two of them would be in both lists, or in none.
    Costs two round trips.

    Args:
        db: of `Database.reading`; changes nothing meanwhile.
    """
    db.execute(text("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
    try:
        yield
    finally:
        try:
            db.execute(text("ROLLBACK"))
        except SQLAlchemyError:  # the connection is lost: the pool must not keep it
            db.invalidate()


def fetch_all(db: Session, statement: Select[Any], values: Mapping[str, Any]) -> Sequence[Any]:
    """The rows of a constant query, straight from the driver: for queries of nearly every request.

    SQLAlchemy's own execution takes twice the processor time for one row, and half as much again for twenty, for what
    such a query does not need: conversions, and finding columns by anything but their names.

    Args:
        db: changes that it holds unflushed are not seen.
        statement: built once and kept, since its text is; of columns that the driver itself converts (texts, numbers,
            times, JSON).
        values: of its `bindparam`s.

    Returns:
        Named tuples.

    Raises:
        DBAPIError: as from `db.execute`.
    """
    words, constants = _text_of(statement)
    connection = db.connection().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)
    try:
        # Binary: times and numbers as text cost both sides a tenth more.
        with connection.cursor(row_factory=namedtuple_row, binary=True) as cursor:
            return cursor.execute(words, {**constants, **values}).fetchall()
    except psycopg.Error:
        # Once more by SQLAlchemy, which knows what each error means, and whether the connection can still be used.
        return db.execute(statement, values).all()


@cache
def _text_of(statement: Select[Any]) -> tuple[bytes, Mapping[str, Any]]:
    """A statement for the driver, and the values of the constants in it."""
    compiled = statement.compile(dialect=PGDialect_psycopg())  # type: ignore[no-untyped-call]
    constants = {name: value for name, value in compiled.params.items() if value is not None}
    return compiled.string.encode(), constants
