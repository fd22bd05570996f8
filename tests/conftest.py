"""Real PostgreSQL and Redis for every test that asks for them."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from cheap_hashes import hash_cheaply  # noqa: E402
from databases import databases_of  # noqa: E402
from engines import keep_engines  # noqa: E402

from cli.embedded import EmbeddedPostgres, EmbeddedRedis  # noqa: E402
from config.redis import make_redis  # noqa: E402
from config.settings import Settings  # noqa: E402
from engine.clients.gate import gate_of  # noqa: E402
from engine.job_names import Job  # noqa: E402
from engine.runtime import Runtime  # noqa: E402
from models.migrate import upgrade  # noqa: E402

# Whoever starts the tests in the background has them ignore Ctrl-C, which all that they start would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ENOUGH = 4 << 30  # bytes, for the servers of all test processes


@pytest.fixture(autouse=True)
def reachable() -> None:
    """Nobody remembers that a service failed in the test before."""
    gate_of.cache_clear()


def pytest_configure() -> None:
    """What is loaded stays until the end, and a test makes little that refers to itself: collecting took a fifth."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    keep_engines()
    hash_cheaply()


@pytest.fixture(scope="session")
def short_tmp() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name.

    In memory where there is room: a database a test is hundreds of files that come and go, which ext4 takes ill.
    """
    with tempfile.TemporaryDirectory(prefix="mn-", dir=_memory()) as name:
        Path(name).chmod(0o755)
        yield Path(name)


def _memory() -> str | None:
    folder = "/dev/shm"
    try:
        return folder if shutil.disk_usage(folder).free > ENOUGH else None
    except OSError:
        return None


@pytest.fixture(scope="session")
def postgres(short_tmp: Path) -> Iterator[str]:
    """The URL of a server; every test has a database of its own in it."""
    with EmbeddedPostgres(short_tmp / "pg", durable=False).running() as url:
        upgrade(url)
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            # Plans and pages of a test's tables are its own doing, whatever comes by meanwhile.
            connection.execute("ALTER SYSTEM SET autovacuum = off")
            connection.execute("SELECT pg_reload_conf()")
        yield url
        databases_of(url).close()


@pytest.fixture
def database_url(postgres: str) -> Iterator[str]:
    """A migrated, empty database."""
    with databases_of(postgres).lent() as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(postgres: str) -> Iterator[str]:
    """A database that the tests of a module share."""
    with databases_of(postgres).lent() as url:
        yield url


@pytest.fixture(scope="session")
def session_database_url(postgres: str) -> Iterator[str]:
    """A database that all tests of a process share who ask for this one."""
    with databases_of(postgres).lent() as url:
        yield url


@pytest.fixture(scope="session")
def shared_redis(short_tmp: Path) -> Iterator[str]:
    """The URL of a server that the tests of a process use one after the other."""
    with EmbeddedRedis(short_tmp / "redis", durable=False).running() as url:
        yield url


@pytest.fixture
def redis_url(shared_redis: str) -> str:
    """An empty Redis that nobody is connected to any more; who harms a server starts one of his own."""
    with redis.Redis.from_url(shared_redis) as client:
        for kind in ("normal", "pubsub"):
            client.client_kill_filter(_type=kind, skipme=True)
        client.flushall()
    return shared_redis


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    """Settings of a small installation that may download from loopback."""
    return Settings(
        app_env="development",
        data_dir=tmp_path,
        download_dir=tmp_path / "downloads",
        work_dir=tmp_path / "work",
        database_url=database_url,
        redis_url=redis_url,
        secret_key="s" * 48,
        download_allowed_hosts=("127.0.0.1", "localhost", "youtube.com", "youtu.be"),
        download_allow_private_networks=True,
        rate_limit_enabled=False,
    )


@pytest.fixture
def rung() -> list[Job]:
    """The jobs that were rung for through `runtime`."""
    return []


@pytest.fixture
def runtime(settings: Settings, rung: list[Job]) -> Iterator[Runtime]:
    """A runtime whose bell only writes down what was rung for."""
    built = Runtime(settings, make_redis(settings), rung.append)
    yield built
    built.database.close()
    built.redis.close()


@pytest.fixture(params=["ours", "recorded"])
def fixtures(request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """Finds an answer of another system by its name: the small one of `tests/recordings`, then a recorded one.

    Where the recorded ones are not present, a test is skipped; in CI it fails.
    """
    if request.param == "ours":
        return (ROOT / "tests" / "recordings").joinpath
    folder = Path(os.environ.get("MEDIANEST_FIXTURES", ROOT.parent / "shared" / "fixtures"))

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            absent = pytest.fail if os.environ.get("CI") else pytest.skip
            absent(f"{path} is not there")
        return path

    return find
