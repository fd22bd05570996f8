"""SQLAlchemy's engines, kept for the next test: with the statements they compiled, and with their idle connections."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import psycopg
from sqlalchemy import Engine
from sqlalchemy.pool import QueuePool

from models import session

_make, _close = session._engine, session.Database.close
_kept: defaultdict[tuple[Any, ...], list[Engine]] = defaultdict(list)
_keys: dict[Engine, tuple[Any, ...]] = {}
_lasting: set[str] = set()  # URLs of databases that are there for the next test too
_FEW = 5  # idle connections of an engine: a server has a hundred for all
_AS_NEW = b"UNLISTEN *; RESET ALL; SELECT pg_advisory_unlock_all()"


def keep_engines() -> None:
    """From now on an engine goes to the next database with the same URL when a database is closed.

    A new one asks the server what it is and compiles each statement again, which is most of what a short test does.
    """
    session._engine = _kept_or_made
    session.Database.close = _close_and_keep  # type: ignore[method-assign]


def keep_connections(url: str) -> None:
    """From now on an engine for this URL is kept with its idle connections.

    A new one is a new process of the server, which reads the catalog again and plans each statement again.
    """
    _lasting.add(url)


def idle_backends(url: str) -> list[int]:
    """The server's processes behind kept connections to a database; as new, but for what they know by heart."""
    found = []
    for connection in _idle(url):
        connection.pgconn.exec_(_AS_NEW)
        found.append(connection.info.backend_pid)
    return found


def let_go(url: str) -> None:
    """Close what is kept of a database that goes."""
    _lasting.discard(url)
    for key in [key for key in _kept if key[0] == url]:
        for engine in _kept.pop(key):
            engine.dispose()


def _idle(url: str) -> Iterator[psycopg.Connection]:
    for key, engines in _kept.items():
        for engine in engines if key[0] == url else ():
            assert isinstance(engine.pool, QueuePool)
            for record in list(engine.pool._pool.queue):  # type: ignore[attr-defined]
                if record.dbapi_connection is not None:
                    yield record.dbapi_connection


def _kept_or_made(url: str, pool_size: int, **more: Any) -> Engine:
    key = (url, pool_size, *sorted(more.items()))
    engine = _kept[key].pop() if _kept[key] else _make(url, pool_size, **more)
    _keys[engine] = key
    return engine


def _close_and_keep(database: session.Database) -> None:
    for engine in (database.engine, database._read_engine):
        if (key := _keys.pop(engine, None)) is None:  # closed twice, it is kept once
            continue
        pool = engine.pool
        assert isinstance(pool, QueuePool)
        if key[0] not in _lasting or pool.checkedout() or pool.checkedin() > _FEW:
            engine.dispose()
        _kept[key].append(engine)
