"""One attempt, one killable process: what comes out of it, and what ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from factories import make_download, make_user
from sqlalchemy import func, select, update
from stack import eventually

from engine.downloads.work import DOWNLOAD
from engine.jobs import lease, shutdown
from engine.jobs.attempt_process import Emit, Stuck, run_isolated
from engine.jobs.lease import CancelRequested, Fenced
from engine.jobs.owner import end_attempt, this_process
from engine.jobs.runner import Attempt, Crashed, GiveUp, Retry, run_next
from engine.runtime import Runtime
from models.download import Download


@pytest.fixture
def attempt(runtime: Runtime) -> Attempt[Download]:
    with runtime.unit_of_work() as db:
        make_download(db, make_user(db))
    with runtime.unit_of_work() as db:
        claimed = lease.claim(db, DOWNLOAD, runtime.settings, this_process())
    assert claimed is not None
    return Attempt(runtime, DOWNLOAD, claimed)


@pytest.fixture
def _calm() -> Iterator[None]:
    yield
    shutdown._flag[0] = 0


def run(attempt: Attempt[Download], target: Any, spec: Any = None, **options: Any) -> Any:
    options = {"on_signal": lambda message: {}, "silence_limit": lambda: 30.0, **options}
    return run_isolated(attempt, target, spec, **options)


def echo(spec: Any, emit: Emit) -> Any:
    for number in range(3):
        emit(number)
    return {"pid": os.getpid(), "group": os.getpgrp(), "spec": spec}


def hang(spec: Any, emit: Emit) -> None:
    """Start a grandchild, tell its id, and hold the interpreter in a sleep."""
    emit(subprocess.Popen(["sleep", "60"]).pid)
    time.sleep(60)


def read(attempt: Attempt[Download]) -> Download:
    with attempt.runtime.unit_of_work() as db:
        return db.get_one(Download, attempt.row.id)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_values_come_out_and_columns_are_written(attempt: Attempt[Download]) -> None:
    heard: list[int] = []

    def on_signal(message: int) -> dict[str, Any]:
        heard.append(message)
        return {"downloaded_bytes": message}

    result = run(attempt, echo, "x", on_signal=on_signal)
    assert heard == [0, 1, 2]
    assert result["spec"] == "x"
    assert result["pid"] == result["group"] != os.getpid()
    assert read(attempt).downloaded_bytes == 2


def test_the_row_knows_the_process_before_it_begins(attempt: Attempt[Download]) -> None:
    result = run(attempt, echo)
    assert read(attempt).lease_owner["attempt"]["pid"] == result["pid"]  # type: ignore[index]


def test_an_error_comes_out_as_itself(attempt: Attempt[Download]) -> None:
    def fail(spec: Any, emit: Emit) -> None:
        raise KeyError("wrong")

    with pytest.raises(KeyError, match="wrong"):
        run(attempt, fail)


def test_an_error_that_can_not_travel_comes_out_as_its_text(attempt: Attempt[Download]) -> None:
    class Local(Exception):
        pass

    def fail(spec: Any, emit: Emit) -> None:
        raise Local("in words")

    with pytest.raises(RuntimeError, match="Local: in words"):
        run(attempt, fail)


def test_a_death_without_a_word_is_a_crash(attempt: Attempt[Download]) -> None:
    with pytest.raises(Crashed, match="SIGKILL"):
        run(attempt, lambda spec, emit: os.kill(os.getpid(), signal.SIGKILL))


def test_crashes_that_each_got_further_are_not_held_against_a_row(runtime: Runtime) -> None:
    with runtime.unit_of_work() as db:
        row_id = make_download(db, make_user(db)).id

    def crash(attempt: Attempt[Download], reached: int) -> dict[str, Any]:
        attempt.beat({"downloaded_bytes": reached})
        attempt.row.downloaded_bytes = 10**9  # heard of, but lost before it was written
        raise Crashed("SIGKILL")

    for reached in (10, 20, 30, 30, 30):
        with runtime.unit_of_work() as db:
            db.execute(update(Download).values(next_run_at=func.clock_timestamp()))
        assert run_next(runtime, DOWNLOAD, lambda attempt, now=reached: crash(attempt, now))
    with runtime.unit_of_work() as db:
        row = db.get_one(Download, row_id)
    assert (row.status, row.crash_count, row.error and row.error["kind"]) == ("failed", 3, "poison")


def test_an_exit_without_a_word_is_a_crash(attempt: Attempt[Download]) -> None:
    with pytest.raises(Crashed, match="exit code 3"):
        run(attempt, lambda spec, emit: os._exit(3))


def test_silence_ends_it_with_all_it_started(attempt: Attempt[Download]) -> None:
    started: list[int] = []
    with pytest.raises(Stuck):
        run(attempt, hang, on_signal=lambda pid: started.append(pid) or {}, silence_limit=lambda: 0.5)
    eventually(lambda: gone(started[0]), 5)


def test_a_cancel_ends_it_within_two_seconds(attempt: Attempt[Download]) -> None:
    started: list[int] = []
    began = time.monotonic()

    def on_signal(pid: int) -> dict[str, Any]:
        started.append(pid)
        with attempt.runtime.unit_of_work() as db:
            db.execute(update(Download).values(cancel_requested_at=func.clock_timestamp()))
        return {}

    with pytest.raises(CancelRequested):
        run(attempt, hang, on_signal=on_signal)
    assert time.monotonic() - began < 3
    eventually(lambda: gone(started[0]), 5)


def test_a_lost_row_ends_it(attempt: Attempt[Download]) -> None:
    started: list[int] = []

    def on_signal(pid: int) -> dict[str, Any]:
        started.append(pid)
        with attempt.runtime.unit_of_work() as db:
            db.execute(update(Download).values(epoch=Download.epoch + 1))
        return {}

    with pytest.raises(Fenced):
        run(attempt, hang, on_signal=on_signal)
    eventually(lambda: gone(started[0]), 5)


@pytest.mark.usefixtures("_calm")
def test_a_shutdown_ends_it_and_the_attempt_does_not_count(runtime: Runtime) -> None:
    with runtime.unit_of_work() as db:
        row_id = make_download(db, make_user(db)).id

    def work(attempt: Attempt[Download]) -> dict[str, Any]:
        return dict(run(attempt, hang, on_signal=lambda pid: shutdown.start_shutdown() or {}))

    assert run_next(runtime, DOWNLOAD, work)
    with runtime.unit_of_work() as db:
        row = db.get_one(Download, row_id)
    assert (row.status, row.attempt, row.crash_count, row.lease_until) == ("queued", 0, 0, None)
    assert not run_next(runtime, DOWNLOAD, work), "nothing is begun while shutting down"


def test_a_successor_can_kill_what_a_frozen_predecessor_left(attempt: Attempt[Download]) -> None:
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    started = psutil.Process(process.pid).create_time()
    process.send_signal(signal.SIGSTOP)
    owner = {**this_process(), "attempt": {"pid": process.pid, "started": started}}
    assert not end_attempt({**owner, "host": "elsewhere"})
    assert not end_attempt({**owner, "attempt": {"pid": process.pid, "started": started - 100}})
    assert process.poll() is None
    assert end_attempt(owner)
    assert process.wait(5) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("raised", "status", "attempt_count"),
    [
        (Retry({"kind": "network", "message": "m", "advice": "a", "retryable": True}), "queued", 1),
        (
            Retry({"kind": "disk", "message": "m", "advice": "a", "retryable": True}, 5, counts=False),
            "queued",
            0,
        ),
        (GiveUp({"kind": "private", "message": "m", "advice": "a", "retryable": False}), "failed", 1),
        (ZeroDivisionError("a bug"), "queued", 1),
        (Crashed("SIGKILL"), "queued", 1),
    ],
)
def test_how_a_row_goes_on_after_an_attempt(
    runtime: Runtime, raised: Exception, status: str, attempt_count: int
) -> None:
    with runtime.unit_of_work() as db:
        row_id = make_download(db, make_user(db)).id

    def work(attempt: Attempt[Download]) -> dict[str, Any]:
        raise raised

    assert run_next(runtime, DOWNLOAD, work)
    with runtime.unit_of_work() as db:
        row = db.get_one(Download, row_id)
        later = db.scalar(select(Download.next_run_at > func.clock_timestamp()))
    assert (row.status, row.attempt, row.lease_until) == (status, attempt_count, None)
    assert later is (status == "queued")
    assert (row.ended_at is None) is (status == "queued")


def test_the_last_attempt_fails_for_good(runtime: Runtime) -> None:
    with runtime.unit_of_work() as db:
        row_id = make_download(db, make_user(db), attempt=4).id

    def work(attempt: Attempt[Download]) -> dict[str, Any]:
        raise Retry({"kind": "network", "message": "m", "advice": "a", "retryable": True})

    run_next(runtime, DOWNLOAD, work)
    with runtime.unit_of_work() as db:
        row = db.get_one(Download, row_id)
    assert (row.status, row.attempt) == ("failed", 5)
