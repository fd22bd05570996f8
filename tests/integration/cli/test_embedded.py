"""The embedded servers: where they live, that they keep what they were given."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import redis
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from cli.embedded import EmbeddedError, EmbeddedPostgres, EmbeddedRedis, EmbeddedServer
from cli.embedded.binaries import PACKAGE


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="medianest-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def run_sql(url: str, statement: str) -> list[object]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        result = connection.execute(text(statement))
        return list(result.scalars()) if result.returns_rows else []


def kill(server: EmbeddedServer) -> None:
    assert server._process is not None
    os.kill(server._process.pid, signal.SIGKILL)
    server._process.wait()


def test_postgres_keeps_what_was_committed_when_it_is_killed(open_folder: Path) -> None:
    server = EmbeddedPostgres(open_folder)
    with server.running() as url:
        run_sql(url, "CREATE TABLE notes AS SELECT 'grüße' AS text")
        kill(server)
    # Its number was given to another program since: no reason to refuse.
    (open_folder / "postgres" / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n")
    with server.running() as url:
        assert run_sql(url, "SELECT text FROM notes") == ["grüße"]
        assert run_sql(url, "SHOW data_checksums") == ["on"]
        assert run_sql(url, "SHOW fsync") == ["on"]
    assert server.notices == []


def test_redis_keeps_what_was_acknowledged_when_it_is_killed(open_folder: Path) -> None:
    server = EmbeddedRedis(open_folder)
    with server.running() as url, redis.Redis.from_url(url) as client:
        client.rpush("queue", "job")
        kill(server)
    with server.running() as url, redis.Redis.from_url(url) as client:
        assert client.lrange("queue", 0, -1) == [b"job"]
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"


def test_a_path_too_long_for_a_socket_moves_only_the_socket(open_folder: Path) -> None:
    deep = open_folder / "a, b % 'c'" / ("d" * 100)
    servers = [EmbeddedPostgres(deep, durable=False), EmbeddedRedis(deep, durable=False)]
    try:
        with servers[0].running() as url, servers[1].running() as redis_url:
            assert run_sql(url, "SELECT 1") == [1]
            with redis.Redis.from_url(redis_url) as client:
                assert client.ping()
            for server in servers:
                assert len(server.notices) == 1
                assert "too long" in server.notices[0]
        assert (deep / "postgres" / "data" / "PG_VERSION").exists()
    finally:
        shutil.rmtree(servers[0]._socket_folder)
        shutil.rmtree(servers[1]._socket.parent)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may not run PostgreSQL as itself")
def test_a_folder_closed_to_the_servers_user_is_left_as_it_is(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    # The programs are out of reach too, as in a checkout below root's home.
    installed = Path(find_spec(PACKAGE).origin).parent
    for folder in (installed, installed.with_name(f"{PACKAGE}.libs")):
        shutil.copytree(
            folder, closed / "wheel" / folder.name, ignore=shutil.ignore_patterns("include", "pginstall")
        )
    monkeypatch.syspath_prepend(closed / "wheel")
    server = EmbeddedPostgres(closed / "data", durable=False)
    try:
        with server.running() as url:
            run_sql(url, "CREATE TABLE notes AS SELECT 1 AS number")
            assert len(server.notices) == 1
            assert "closed to user" in server.notices[0]
        again = EmbeddedPostgres(closed / "data", durable=False)
        with again.running() as url:
            assert run_sql(url, "SELECT number FROM notes") == [1]
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    finally:
        shutil.rmtree(server._socket_folder.parent)
    # What was kept elsewhere is gone: never begin silently with an empty database.
    with pytest.raises(EmbeddedError, match="is gone"):
        EmbeddedPostgres(closed / "data").prepare()


def test_data_that_cannot_be_used_is_refused_with_the_reason(open_folder: Path) -> None:
    server = EmbeddedPostgres(open_folder, durable=False)
    server.prepare()
    cluster = open_folder / "postgres" / "data"
    (cluster / "global" / "pg_control").unlink()
    with pytest.raises(EmbeddedError, match="pg_control"):
        server.start(timeout=20)
    (cluster / "PG_VERSION").write_text("12\n")
    with pytest.raises(EmbeddedError, match=r"^[^\n]*PostgreSQL 12, this is \d+[^\n]*$"):
        server.start()


def test_a_folder_that_others_may_enter_is_not_used(open_folder: Path) -> None:
    (open_folder / "redis").mkdir(mode=0o755)
    with pytest.raises(EmbeddedError, match="mode 0700"):
        EmbeddedRedis(open_folder).prepare()
    assert stat.S_IMODE((open_folder / "redis").stat().st_mode) == 0o755
