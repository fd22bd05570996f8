"""Rows straight from the driver: they are what SQLAlchemy would give, and so are the errors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import bindparam, func, literal, select
from sqlalchemy.exc import DataError, OperationalError

from models.session import Database, fetch_all
from models.setting import Fact

_fact = Fact.__table__.c
_NAMED = (
    select(_fact.name, _fact.value, _fact.updated_at, literal(5).label("five"))
    .where(_fact.name.like(bindparam("pattern")))
    .order_by(_fact.name)
)
_OWN_PROCESS = select(func.pg_backend_pid().label("pid"))
_WAIT = select(func.pg_sleep(bindparam("seconds")))
_DIVIDED = select((literal(1) / bindparam("by", type_=literal(1).type)).label("share"))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    built = Database(database_url, pool_size=1)
    with built.unit_of_work() as db:
        db.add_all(_made(name) for name in ("log_level", "port", "log_days"))
    yield built
    built.close()


def _made(name: str) -> Fact:
    return Fact(name=name, value=f"of {name}", updated_at=func.now())


def test_rows_bear_the_names_of_their_columns(database: Database) -> None:
    for unit in (database.reading, database.unit_of_work):
        with unit() as db:
            rows = fetch_all(db, _NAMED, {"pattern": "log%", "unknown": "is left out"})
            usual = db.execute(_NAMED, {"pattern": "log%"}).all()
        assert [(row.name, row.value, row.five) for row in rows] == [
            ("log_days", "of log_days", 5),
            ("log_level", "of log_level", 5),
        ]
        assert [tuple(row) for row in rows] == [tuple(row) for row in usual]


def test_a_unit_sees_its_own_rows(database: Database) -> None:
    with database.unit_of_work() as db:
        db.add(_made("log_more"))
        db.flush()
        assert len(fetch_all(db, _NAMED, {"pattern": "log%"})) == 3
        db.rollback()
        assert len(fetch_all(db, _NAMED, {"pattern": "log%"})) == 2


def test_a_lost_connection_is_told_as_by_sqlalchemy_and_replaced(database: Database) -> None:
    with database.reading() as db:
        (own,) = fetch_all(db, _OWN_PROCESS, {})
        with database.unit_of_work() as other:
            other.execute(select(func.pg_terminate_backend(own.pid)))
        with pytest.raises(OperationalError) as lost:
            fetch_all(db, _WAIT, {"seconds": 0.1})
    assert lost.value.connection_invalidated
    with database.reading() as db:
        assert fetch_all(db, _OWN_PROCESS, {}) != [own]


def test_what_the_database_refuses_is_told_as_by_sqlalchemy(database: Database) -> None:
    with database.reading() as db:
        with pytest.raises(DataError, match="division by zero"):
            fetch_all(db, _DIVIDED, {"by": 0})
        assert [row.share for row in fetch_all(db, _DIVIDED, {"by": 1})] == [1]
