"""An installation to measure: the product's own processes and default settings over durable, temporary databases."""

from __future__ import annotations

import contextlib
import http.client
import json
import multiprocessing as mp
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psycopg

from cli.embedded import EmbeddedPostgres, EmbeddedRedis
from config.celery import make_bell, make_celery
from config.redis import make_redis
from config.settings import Settings
from engine.runtime import Runtime
from models.migrate import upgrade
from tests.stack import ROOT, Client, Stack, eventually, free_port, running

TIMEOUT = 60.0
# The tests' stack has shorter times and other limits: these settings get the product's defaults back.
_CHANGED_BY_TESTS = {
    "WEB_CONCURRENCY",
    "LEASE_SECONDS",
    "LEASE_RENEW_SECONDS",
    "RECONCILE_SECONDS",
    "DOWNLOAD_HOST_LIMIT",
    "DOWNLOAD_RETRY_SECONDS",
}
DEFAULTS = {
    each.metadata["env"]: str(each.default)
    for each in fields(Settings)
    if each.metadata["env"] in _CHANGED_BY_TESTS
}


@dataclass(frozen=True)
class Services:
    """A PostgreSQL and a Redis as `medianest up` configures them, and their folder."""

    folder: Path
    database_url: str
    redis_url: str

    def second_database(self, name: str) -> str:
        """Create another migrated, empty database; returns its URL."""
        plain = self.database_url.replace("+psycopg", "")
        with psycopg.connect(plain.replace("/medianest?", "/postgres?"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE medianest")
        return self.database_url.replace("/medianest?", f"/{name}?")


@contextlib.contextmanager
def services() -> Iterator[Services]:
    """Migrated databases that are durable (fsync), as in the product."""
    with (
        scratch() as folder,
        EmbeddedPostgres(folder / "pg").running() as database_url,
        EmbeddedRedis(folder / "redis").running() as redis_url,
    ):
        upgrade(database_url)
        yield Services(folder, database_url, redis_url)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder that the user PostgreSQL runs as can enter."""
    with tempfile.TemporaryDirectory(prefix="mn-bench-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextlib.contextmanager
def installation(found: Services, *, database_url: str = "", **env: str) -> Iterator[Stack]:
    """An installation whose processes the caller starts; they are stopped at the end of the block."""
    with scratch() as folder:
        stack = Stack(folder, database_url or found.database_url, found.redis_url, **{**DEFAULTS, **env})
        with running(stack):
            yield stack


@contextlib.contextmanager
def runtime_of(stack: Stack) -> Iterator[Runtime]:
    """A `Runtime` of the installation, for this process."""
    settings = Settings.load(stack.env)
    built = Runtime(settings, make_redis(settings), make_bell(make_celery(settings)), pool_size=2)
    try:
        yield built
    finally:
        built.database.close()
        built.redis.close()


def start_workers(stack: Stack) -> None:
    """Start the Procfile's other processes, with its concurrency."""
    stack.start_worker(concurrency=Settings.load(stack.env).download_concurrency + 1)
    stack.start_maintenance()
    stack.start_beat()


def start_bare_web(stack: Stack) -> int:
    """Start `bench.floors.bare_web` with the product's server settings; returns its port."""
    port = free_port()
    settings = Settings.load(stack.env)
    stack.start(
        "bare", "gunicorn", "-k", "gthread", "-w", str(settings.web_processes), "--threads", str(settings.web_threads),
        "--keep-alive", "15", "--preload", "--worker-tmp-dir", "/dev/shm", "--no-control-socket",
        "-b", f"127.0.0.1:{port}", "bench.floors.bare_web:app",
    )  # fmt: skip

    def answers() -> bool:
        assert stack.processes["bare"].poll() is None, stack.log("bare")[-2000:]
        with contextlib.suppress(OSError):
            ApiConnection(port, "").request("GET", "/health")
            return True
        return False

    eventually(answers, what="the bare web server answers")
    return port


class ApiConnection:
    """A keep-alive connection to a web server that measures each answer."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[Any, float]:
        """The answer's JSON and its time in seconds; fails on a status of 4xx or 5xx."""
        content = None if body is None else json.dumps(body).encode()
        began = time.perf_counter()
        self._connection.request(method, path, content, self._headers)
        answer = self._connection.getresponse()
        received = answer.read()
        took = time.perf_counter() - began
        assert answer.status < 400, received[:500]
        return json.loads(received), took


@contextlib.contextmanager
def video_site(names: list[str], size: int) -> Iterator[str]:
    """The tests' video site in another process, with these files of `size` bytes; yields its URL."""
    code = "from bench.floors.served_videos import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(size), *names], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def spawned(target: Callable[..., None], *args: Any) -> Iterator[Connection]:
    """A new process (spawn) that runs `target(pipe, *args)`; yields our end of the pipe."""
    context = mp.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *args))
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()  # the process ends on EOF
        process.join(10)
        process.kill()


def received(pipe: Connection) -> Any:
    """The next object from the other process; raises TimeoutError after `TIMEOUT` seconds."""
    if not pipe.poll(TIMEOUT):
        raise TimeoutError("no report from the other process")
    return pipe.recv()


def created_admin(stack: Stack) -> tuple[Client, str]:
    """Create the administrator; returns their client and id."""
    client = stack.bootstrap()
    return client, str(stack.query("SELECT id FROM users")[0][0])


__all__ = [
    "ApiConnection",
    "Services",
    "created_admin",
    "installation",
    "received",
    "runtime_of",
    "services",
    "spawned",
    "video_site",
]
