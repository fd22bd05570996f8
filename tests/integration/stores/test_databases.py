"""A database that a test had is for the next one like a new one, whatever was done to it."""

from __future__ import annotations

import psycopg
import pytest
from databases import Databases, databases_of
from factories import make_download, make_user
from sqlalchemy import select

from models.download import Download
from models.row_count import RowCount
from models.session import Database
from models.user import User

COLUMNS = "(table_name, owner_id, status, n)"


@pytest.fixture
def pool(postgres: str) -> Databases:
    return databases_of(postgres)


def plain(url: str) -> str:
    return url.replace("+psycopg", "")


def test_rows_counts_numbers_sessions_and_locks_are_gone(pool: Databases) -> None:
    with pool.lent() as url:
        database = Database(url)
        with database.unit_of_work() as db:
            user = make_user(db)
            make_download(db, user)
        left = psycopg.connect(plain(url), autocommit=True)
        left.execute("SELECT pg_advisory_lock(1)")
        left.execute("CREATE TEMPORARY TABLE staged (n int)")
        database.close()

    with pool.lent() as again:
        assert again == url
        with pytest.raises(psycopg.OperationalError):
            left.execute("SELECT 1")
        left.close()
        with psycopg.connect(plain(again), autocommit=True) as connection:
            assert connection.execute("SELECT pg_try_advisory_lock(1)").fetchone() == (True,)
            assert connection.execute(
                "SELECT count(*) FROM pg_class WHERE relname = 'staged'"
            ).fetchone() == (0,)
            assert connection.execute("SELECT nextval('row_counts_id_seq')").fetchone() == (1,)
        database = Database(again)
        with database.reading() as db:
            for model in (User, Download, RowCount):
                assert db.scalars(select(model)).all() == []
        database.close()


def test_a_table_that_grew_is_small_again(pool: Databases) -> None:
    with pool.lent() as url, psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute(
            f"INSERT INTO row_counts {COLUMNS} SELECT 'x', 'x', 'x', 1 FROM generate_series(1, 5000)"
        )
    size = "SELECT pg_relation_size('row_counts')"
    with pool.lent() as again, psycopg.connect(plain(again), autocommit=True) as connection:
        assert again == url
        assert connection.execute(size).fetchone() == (0,)


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE others (n int)",
        "ALTER TABLE users ADD CONSTRAINT odd CHECK (name <> 'Odd')",
        "ALTER TABLE users DISABLE TRIGGER ALL",
        "ALTER TABLE users RENAME COLUMN name TO called",
        "DROP TABLE audit_entries",
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ANALYZE alembic_version",
        "SELECT lo_create(7)",
        "UPDATE alembic_version SET version_num = '0001'",
    ],
)
def test_one_that_was_changed_otherwise_is_replaced(pool: Databases, change: str) -> None:
    with pool.lent() as url, psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute(change)  # type: ignore[call-overload]
    with pool.lent() as again:
        assert again != url


def test_one_that_was_set_otherwise_is_replaced(pool: Databases) -> None:
    with pool.lent() as url, psycopg.connect(plain(url), autocommit=True) as connection:
        (name,) = connection.execute("SELECT current_database()").fetchone() or ("",)
        connection.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'")  # type: ignore[arg-type]
    with pool.lent() as again:
        assert again != url


def test_a_test_that_fails_leaves_nothing(pool: Databases) -> None:
    with pytest.raises(ZeroDivisionError), pool.lent() as url:
        with psycopg.connect(plain(url)) as connection:
            connection.execute(f"INSERT INTO row_counts {COLUMNS} VALUES ('x', 'x', 'x', 1)")
        raise ZeroDivisionError
    with pool.lent() as again, psycopg.connect(plain(again)) as connection:
        assert again == url
        assert connection.execute("SELECT count(*) FROM row_counts").fetchone() == (0,)
