"""The rows of the battery about what surrounds the workers: Redis, PostgreSQL, the disk, the clock."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.faults.installation import LEASE, RECONCILE, Installation
from tests.faults.ledger import Ledger
from tests.faults.scenarios import ask_many, in_background
from tests.stack import eventually

DISK_BYTES = 12 << 20
LATEST_RUN = 20 + RECONCILE  # seconds: a rescue's promise, less its lease


class Skipped(Exception):
    """What a scenario needs can't be had on this machine."""


def redis_faults(installation: Installation, ledger: Ledger) -> None:
    """Redis killed, emptied, frozen for 20 s, full: a download can be asked for all the while."""
    number = int(max(8, 25 * installation.scale))
    for fault in (redis_killed, redis_emptied, redis_frozen, redis_full):
        ask_many(installation, ledger, number // 2)
        fault(installation, ledger, number - number // 2)
        installation.ready_servers()
        eventually(installation.redis.is_ready, 30)
        ledger.drain(120)


def redis_killed(installation: Installation, ledger: Ledger, number: int) -> None:
    process = installation.redis._process
    assert process is not None
    process.kill()
    process.wait()
    installation.measures.faults["Redis: killed"] += 1
    ask_many(installation, ledger, number)
    installation.redis.start()


def redis_emptied(installation: Installation, ledger: Ledger, number: int) -> None:
    for _ in range(3):
        redis.Redis.from_url(installation.redis_url).flushall()
        installation.measures.faults["Redis: FLUSHALL"] += 1
        ask_many(installation, ledger, number // 3 + 1)


def redis_frozen(installation: Installation, ledger: Ledger, number: int) -> None:
    process = installation.redis._process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    installation.measures.faults["Redis: frozen 20 s"] += 1
    for _ in range(number):  # each may wait for a frozen bell
        asked = time.monotonic()
        ledger.ask()
        if time.monotonic() - asked > 10:
            ledger.verdict.problems["broken promise"].append("a POST took more than 10 s with Redis frozen")
        if time.monotonic() - began > 18:
            break
    time.sleep(max(0.0, began + 20 - time.monotonic()))
    process.send_signal(signal.SIGCONT)


def redis_full(installation: Installation, ledger: Ledger, number: int) -> None:
    client = redis.Redis.from_url(installation.redis_url)
    client.config_set("maxmemory", 1)
    installation.measures.faults["Redis: full"] += 1
    ask_many(installation, ledger, number)
    time.sleep(LEASE)
    client.config_set("maxmemory", 0)


def postgres_restarted(installation: Installation, ledger: Ledger) -> None:
    """PostgreSQL goes away under load: cleanly, by a crash, and for longer than a lease."""
    number = int(max(10, 90 * installation.scale))
    asking = in_background(lambda: ask_many(installation, ledger, number))
    plan = [
        ("restarted", signal.SIGINT, 0.0),
        ("crashed", signal.SIGQUIT, 0.0),
        ("away 5 s", signal.SIGINT, 5.0),
    ]
    for name, number_, pause in plan:
        time.sleep(installation.random.uniform(2, 4))
        process = installation.postgres._process
        assert process is not None
        process.send_signal(number_)
        process.wait(30)
        time.sleep(pause)
        installation.postgres.start()
        installation.measures.faults[f"PostgreSQL: {name}"] += 1
    asking.join()
    ledger.drain(150)


def disk_full(installation: Installation, ledger: Ledger) -> None:
    """The disk of the work folder is full, and room is made: everything arrives."""
    small = installation.folder / "small-work"
    with small_disk(small):
        fill_and_free(installation, ledger, small, WORK_DIR=str(small))
    installation.other_workers()


def downloads_full(installation: Installation, ledger: Ledger) -> None:
    """The disk of the finished files is full, and room is made: everything arrives."""
    usual, small = installation.downloads, installation.folder / "small-downloads"
    with small_disk(small):
        installation.downloads = small
        installation.watch(small)
        try:
            fill_and_free(installation, ledger, small, DOWNLOAD_DIR=str(small))
            ledger.settle()
        finally:
            installation.unwatch(small)
            installation.downloads = usual
            installation.other_workers()


def fill_and_free(installation: Installation, ledger: Ledger, disk: Path, **env: str) -> None:
    """Ask for more than fits, wait until that shows, and make room."""
    installation.other_workers(**env)
    ballast = disk / ".ballast"
    ballast.write_bytes(os.urandom(DISK_BYTES - 1_000_000))
    installation.measures.faults[f"disk full: {next(iter(env))}"] += 1
    ids = [ledger.ask(600_000, rate=300_000) for _ in range(int(max(4, 10 * installation.scale)))]
    with contextlib.suppress(AssertionError):
        eventually(lambda: troubled(installation, ids), 20)
    time.sleep(2)
    ballast.unlink()
    ledger.drain(90)


def troubled(installation: Installation, ids: list[str]) -> bool:
    query = "SELECT count(*) FROM downloads WHERE id = ANY(%s) AND error IS NOT NULL"
    return bool(installation.rows(query, [ids])[0][0])


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of a few megabytes at `folder`.

    Raises:
        Skipped: this user may not mount one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=755", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Skipped(f"no small file system: {done.stderr.strip() or 'mount failed'}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def beat_clock(installation: Installation, ledger: Ledger) -> None:
    """The clock of a beat jumps by an hour, ahead and back, beside a sound beat: no run is doubled, none is missed."""
    with jumping_beat(installation):
        for _ in range(int(max(1, 3 * installation.scale))):
            lose_a_worker(installation, ledger)
        check_slots(installation, ledger)


def only_beat_clock(installation: Installation, ledger: Ledger) -> None:
    """The same with the only beat there is: what is lost meanwhile is rescued all the same."""
    with jumping_beat(installation):
        installation.kill_group("beat")
        installation.kill_group("second-beat")
        until = time.monotonic() + max(35.0, 60 * installation.scale)  # a jump each ten seconds
        while time.monotonic() < until:
            lose_a_worker(installation, ledger)
        check_slots(installation, ledger)


@contextmanager
def jumping_beat(installation: Installation) -> Iterator[None]:
    """A third beat, its clock off by an hour ahead, behind, ahead, every few seconds."""
    name = "jumping-beat"
    schedule = str(installation.folder / f"{name}-schedule")
    installation.start(name, "celery", "-A", "fakes.jumping_beat", "beat", "-s", schedule)
    try:
        eventually(lambda: "beat.ready" in installation.log(name), 60)
        installation.measures.faults["beat: clock jumps"] += 1
        yield
    finally:
        installation.kill_group(name)
        installation.make_ready()


def lose_a_worker(installation: Installation, ledger: Ledger) -> None:
    """A worker dies with all it does, at some time between two jumps."""
    for _ in range(4):
        ledger.ask(300_000, rate=100_000)
    pid = installation.processes["one"].pid
    eventually(lambda: installation.rescues.held_by([pid]), 30, what="work in progress")
    installation.kill_worker("one")
    installation.measures.faults["killed: worker group"] += 1
    installation.spawn_worker("one")
    installation.wait_ready("one")
    ledger.drain(45)


def check_slots(installation: Installation, ledger: Ledger) -> None:
    """The reconciler ran in time, and once a slot."""
    [(longest, at_once)] = installation.rows(
        "SELECT max(extract(epoch FROM slot - earlier)), count(*) FILTER (WHERE slot = earlier) FROM ("
        " SELECT slot, lag(slot) OVER (ORDER BY slot) AS earlier FROM schedule_slots"
        " WHERE name = 'maintenance.reconcile' AND slot > (SELECT min(created_at) FROM downloads WHERE folder = %s)"
        ") AS runs",
        [ledger.folder],
    )
    if longest is None or longest > LATEST_RUN or at_once:
        text = f"{longest} s between two runs of the reconciler, {LATEST_RUN:g} s promised"
        ledger.verdict.problems["broken promise"].append(text)
