"""Sessions for looking: each statement as of now, or all of them as of one moment."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from factories import make_user
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from models.session import Database, at_one_moment
from models.user import User


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, pool_size=1)
    yield database
    database.close()


def add_somebody(database: Database) -> None:
    with database.unit_of_work() as db:
        make_user(db)


def test_what_is_committed_meanwhile_is_seen_or_not(database: Database) -> None:
    count = select(func.count()).select_from(User)
    with database.reading() as now, database.reading() as then, at_one_moment(then):
        assert (now.scalar(count), then.scalar(count)) == (0, 0)
        add_somebody(database)
        assert (now.scalar(count), then.scalar(count)) == (1, 0)
    with database.reading() as later, at_one_moment(later):
        assert later.scalar(count) == 1


def test_it_changes_nothing_and_leaves_a_usable_connection(database: Database) -> None:
    with pytest.raises(DBAPIError, match="read-only"), database.reading() as db, at_one_moment(db):
        db.execute(text("DELETE FROM users"))
    add_somebody(database)
    with database.reading() as db:
        assert db.scalar(text("SELECT pg_current_xact_id_if_assigned() IS NULL")) is True
        assert db.scalar(text("SHOW transaction_isolation")) == "read committed"


def test_a_connection_that_is_lost_meanwhile_is_told_as_that_and_replaced(database: Database) -> None:
    with pytest.raises(OperationalError), database.reading() as db, at_one_moment(db):
        number = db.scalar(text("SELECT pg_backend_pid()"))
        with psycopg.connect(
            database.engine.url.set(drivername="postgresql").render_as_string(False)
        ) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (number,))
        db.scalar(text("SELECT 1"))
    with database.reading() as db, at_one_moment(db):
        assert db.scalar(text("SELECT 1")) == 1
