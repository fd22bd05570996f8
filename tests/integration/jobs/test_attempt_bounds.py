"""Memory and time are bounded for an attempt as a whole, with all the programs it starts."""

from __future__ import annotations

import mmap
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import func, update
from stack import eventually

from engine.downloads.work import DOWNLOAD
from engine.jobs.attempt_bounds import memory_of
from engine.jobs.attempt_process import Emit, OverMemory, OverTime, run_isolated
from engine.jobs.runner import Attempt, run_next
from engine.runtime import Runtime
from models.download import Download

MIB = 1 << 20
EATER = "import time\nkept=[]\nfor _ in range({blocks}): kept.append(bytearray({block})); time.sleep({pause})\ntime.sleep(60)"


def limit() -> int:
    """A bound that leaves this process, as large as tests have made it, 200 MiB."""
    sizes = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return max(int(sizes["VmData"].split()[0]) * 1024, memory_of(os.getpid())) + 200 * MIB


def eat(*, blocks: int, block: int, pause: float = 0.0) -> list[str]:
    """A program that takes so many blocks of so many bytes, one after the other, and keeps them."""
    return [sys.executable, "-c", EATER.format(blocks=blocks, block=block, pause=pause)]


def at_once(spec: int, emit: Emit) -> int:
    return len(bytearray(6 << 30))


def in_a_cause(spec: int, emit: Emit) -> None:
    try:
        at_once(spec, emit)
    except MemoryError as error:
        raise ValueError("the page is unreadable") from error


def shared(spec: int, emit: Emit) -> None:
    """What programs share is bounded for none of them alone."""
    kept = []
    while True:
        block = mmap.mmap(-1, 20 * MIB)
        block.write(b"x" * (20 * MIB))
        kept.append(block)
        time.sleep(0.05)


def several_programs(spec: int, emit: Emit) -> None:
    """Each of them is well below the bound, and the sum is not."""
    programs = [subprocess.Popen(eat(blocks=4, block=spec // 12, pause=0.1)) for _ in range(4)]
    emit([program.pid for program in programs])
    for program in programs:
        program.wait()


def an_orphan(spec: int, emit: Emit) -> None:
    """The one who started it is gone."""
    command = eat(blocks=7, block=spec // 8, pause=0.1)
    script = f"import subprocess; print(subprocess.Popen({command!r}, stdout=subprocess.DEVNULL).pid)"
    started = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE)
    emit([int(started.stdout)])
    time.sleep(60)


def fast_in_a_program(spec: int, emit: Emit) -> int:
    return subprocess.run(eat(blocks=1, block=6 << 30), stderr=subprocess.DEVNULL, check=False).returncode


def attempted(runtime: Runtime, row_id: str, target: Any, **bounds: Any) -> tuple[Any, Download]:
    """What an attempt with that target came to: what it raised or returned, and its row."""
    outcome: list[Any] = []

    def work(attempt: Attempt[Download]) -> dict[str, Any]:
        pids: list[int] = []
        try:
            value = run_isolated(
                attempt, target, limit(), on_signal=lambda told: pids.extend(told) or {},
                silence_limit=lambda: 60.0, **{"memory": limit(), **bounds},
            )  # fmt: skip
        except BaseException as error:
            outcome.append(error)
            raise
        else:
            outcome.append(value)
            return {}
        finally:
            for pid in pids:
                eventually(lambda pid=pid: not psutil.pid_exists(pid), 10, what="its programs are gone")

    with runtime.unit_of_work() as db:
        db.execute(update(Download).values(next_run_at=func.clock_timestamp()))
    assert run_next(runtime, DOWNLOAD, work)
    with runtime.unit_of_work() as db:
        return outcome[0], db.get_one(Download, row_id)


@pytest.mark.parametrize("target", [at_once, in_a_cause, shared, several_programs, an_orphan])
def test_what_takes_too_much_memory_is_ended(runtime: Runtime, row_id: str, target: Any) -> None:
    outcome, row = attempted(runtime, row_id, target)
    assert isinstance(outcome, OverMemory), outcome
    assert row.error is not None
    assert (row.status, row.error["kind"], row.attempt) == ("queued", "too_much_memory", 1)
    assert row.crash_count == 0, "no crash: it was told in words"


def test_the_last_attempt_says_what_to_do(runtime: Runtime, row_id: str) -> None:
    with runtime.unit_of_work() as db:
        db.execute(update(Download).values(attempt=4))
    _, row = attempted(runtime, row_id, at_once)
    assert row.error is not None
    assert (row.status, row.error["kind"]) == ("failed", "too_much_memory")
    assert "DOWNLOAD_MEMORY_LIMIT" in row.error["advice"]


def test_a_program_gets_no_more_than_the_bound_at_once(runtime: Runtime, row_id: str) -> None:
    outcome, _ = attempted(runtime, row_id, fast_in_a_program)
    assert outcome == 1, "it failed by itself, with a MemoryError"


def test_the_bound_is_the_attempts_alone(runtime: Runtime, row_id: str) -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    attempted(runtime, row_id, at_once)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_an_attempt_as_a_whole_has_an_end(runtime: Runtime, row_id: str) -> None:
    def busy(spec: int, emit: Emit) -> None:
        while True:
            emit([])
            time.sleep(0.05)

    outcome, row = attempted(runtime, row_id, busy, deadline=1.0)
    assert isinstance(outcome, OverTime)
    assert row.error is not None
    assert (row.status, row.error["kind"], row.attempt) == ("queued", "too_long", 1)
