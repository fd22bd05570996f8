"""SQLAlchemy's engines, kept for the next test: with the statements they compiled, and without any connection."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import Engine

from models import session

_make, _close = session._engine, session.Database.close
_kept: defaultdict[tuple[Any, ...], list[Engine]] = defaultdict(list)
_keys: dict[Engine, tuple[Any, ...]] = {}


def keep_engines() -> None:
    """From now on an engine goes to the next database with the same URL when a database is closed.

    A new one asks the server what it is and compiles each statement again, which is most of what a short test does.
    """
    session._engine = _kept_or_made
    session.Database.close = _close_and_keep  # type: ignore[method-assign]


def _kept_or_made(url: str, pool_size: int, **more: Any) -> Engine:
    key = (url, pool_size, *sorted(more.items()))
    engine = _kept[key].pop() if _kept[key] else _make(url, pool_size, **more)
    _keys[engine] = key
    return engine


def _close_and_keep(database: session.Database) -> None:
    _close(database)
    for engine in (database.engine, database._read_engine):
        if (key := _keys.pop(engine, None)) is not None:  # closed twice, it is kept once
            _kept[key].append(engine)
