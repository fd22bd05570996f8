"""Syncs with Plex at three sizes: first, nothing changed, incremental, against a bare fetch and COPY of the same bytes."""

from __future__ import annotations

import multiprocessing as mp
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import psutil
import psycopg

from bench.installation import installation, runtime_of, services
from bench.report import Figure, Target
from config.logging import configure_logging
from config.redis import make_redis
from config.settings import Settings
from engine.clients.plex.library import PlexLibrary
from engine.jobs.runner import run_next
from engine.plex.sync import runs as sync
from engine.plex.sync import work as sync_work
from engine.runtime import Runtime
from tests.fakes.plex_server import control
from tests.fakes.plex_server.control import Remote
from tests.stack import Stack

SIZES = ((640, 10, 32), (10_000, 200, 30), (35_000, 600, 33))  # films, shows, episodes of each
QUICK = ((100, 2, 10),)
LISTINGS = (("1", 1), ("2", 2), ("2", 3), ("2", 4))
ROUNDS = 3
MEGABYTE = 1 << 20


@dataclass
class Elapsed:
    """Elapsed seconds and this process's CPU seconds."""

    wall: float
    cpu: float


def run(quick: bool) -> Iterator[Figure]:
    """Each size in an installation of its own."""
    grown: dict[int, float] = {}
    for films, shows, episodes in QUICK if quick else SIZES:
        with (
            control.running(films=films, shows=shows, episodes_per_show=episodes) as plex,
            services() as found,
        ):
            env = {"PLEX_URL": plex.url, "PLEX_TOKEN": plex.token, "LOG_LEVEL": "error"}
            with installation(found, **env) as stack, runtime_of(stack) as runtime:
                size, growth, figures = _library(plex, stack, runtime)
                grown[size] = growth
                yield from figures
    if len(grown) > 1:
        what = f"memory that {max(grown):,} items need more than {min(grown):,}, first sync"
        more = max(0.1, grown[max(grown)] - grown[min(grown)])
        yield Figure("plex_sync", what, more, "MB", target=Target(40))


def _library(plex: Remote, stack: Stack, runtime: Runtime) -> tuple[int, float, list[Figure]]:
    """Number of items, memory growth of the first sync in MB, and the figures of the floor and all kinds of sync."""
    configure_logging(runtime.settings)
    _fetch(plex)  # the fake server generates its answers at the first request: don't measure that
    fetched, (copied, size) = _best(lambda: _fetch(plex)), _copy(plex, stack)
    with mp.get_context("spawn").Pool(1) as fresh:  # a new process, for the memory figure
        first, asked, growth = fresh.apply(_first, (stack.env, plex))
    whole = _best(lambda: _sync(plex, runtime, full=True)[0])
    _, asked_whole = _sync(plex, runtime, full=True)
    quiet = _best(lambda: _sync(plex, runtime)[0])
    plex.call("change", item=1, summary="Other words.")
    _count(plex)  # the fake server sorts all items again after a change, unlike a real one
    changed, asked_changed = _sync(plex, runtime)
    name, floor = f"{size:,} items, ", replace(fetched, wall=fetched.wall + copied.wall)
    return size, growth, [
        _figure(name + f"first sync, {asked} requests", first.wall, floor.wall, Target(2, of="ratio")),
        _figure(name + f"full pass, nothing changed, {asked_whole} requests", whole.wall, fetched.wall, Target(1.5, of="ratio")),
        _figure(name + "full pass, nothing changed, processor", whole.cpu, fetched.cpu),
        _figure(name + "incremental, nothing changed", quiet.wall, None, Target(50)),
        _figure(name + f"incremental, one changed, {asked_changed} requests", changed.wall, None, Target(50)),
    ]  # fmt: skip


def _first(env: dict[str, str], plex: Remote) -> tuple[Elapsed, int, float]:
    """The first sync in a process of its own: time, number of requests, and peak memory growth in MB."""
    settings = Settings.load(env)
    configure_logging(settings)
    runtime = Runtime(settings, make_redis(settings), lambda job: None)
    with runtime.reading() as db:
        sync.listing(db, page=1, limit=1)  # connect and load the models before measuring memory
    before = psutil.Process().memory_info().rss
    took, asked = _sync(plex, runtime)
    # Not `ru_maxrss`, which starts at the parent's value.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    return took, asked, int(peak.split()[1]) / 1024 - before / MEGABYTE


def _figure(what: str, seconds: float, floor: float | None, target: Target | None = None) -> Figure:
    return Figure("plex_sync", what, 1000 * seconds, "ms", floor and 1000 * floor, target)


def _best(measure: Callable[[], Elapsed]) -> Elapsed:
    return min((measure() for _ in range(ROUNDS)), key=lambda took: took.wall)


def _timed(work: Callable[[], Any]) -> Elapsed:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Elapsed(time.perf_counter() - wall, time.process_time() - cpu)


def _fetch(plex: Remote) -> Elapsed:
    """Fetch and decode the same pages."""
    return _timed(lambda: [None for _ in _items(plex)])


def _count(plex: Remote) -> None:
    library = PlexLibrary(plex.url, plex.token, "bench")
    try:
        for section, number in LISTINGS:
            library.count(section, number)
    finally:
        library.close()


def _items(plex: Remote) -> Iterator[Any]:
    library = PlexLibrary(plex.url, plex.token, "bench")
    try:
        for section, number in LISTINGS:
            for page in library.listing(section, number):
                yield from page.items
    finally:
        library.close()


def _copy(plex: Remote, stack: Stack) -> tuple[Elapsed, int]:
    """COPY the same bytes into a logged table with a primary key; returns the time and the number of rows."""
    rows = [(item["ratingKey"], orjson.dumps(item).decode()) for item in _items(plex)]
    with psycopg.connect(stack.database_url.replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE bare (key text PRIMARY KEY, item text)")

        def work() -> None:
            with connection.cursor().copy("COPY bare FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            connection.commit()

        took = _timed(work)
        connection.execute("DROP TABLE bare")
    return took, len(rows)


def _sync(plex: Remote, runtime: Runtime, *, full: bool = False) -> tuple[Elapsed, int]:
    """One sync from claim to completion; returns the time and its number of requests."""
    with runtime.unit_of_work() as db:
        run = sync.start(db, full=full, trigger="manual")[0]
    plex.call("forget")
    took = _timed(lambda: run_next(runtime, sync_work.SYNC, sync_work.work))
    with runtime.unit_of_work() as db:
        ended = sync.get(db, run.id)
    assert ended.status == "completed", ended.error
    return took, sum(plex.call("counts").values())
