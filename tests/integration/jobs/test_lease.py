"""The job mechanism on a real database: claims, fences, leases, rescue, slots."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import structlog
from factories import make_download, make_user
from sqlalchemy import func, update

from config.settings import Settings
from engine.downloads.work import DOWNLOAD
from engine.job_names import Job
from engine.jobs import lease
from engine.jobs.lease import CancelRequested, Fenced
from engine.jobs.owner import this_process
from engine.jobs.reconcile import reconcile, rescue
from engine.jobs.slots import take_slot
from engine.runtime import Runtime
from models.download import Download

OWNER = {"host": "elsewhere", "pid": 1, "started": 1.0}


def claim(runtime: Runtime, owner: dict = OWNER) -> Download | None:
    with runtime.unit_of_work() as db:
        claimed = lease.claim(db, DOWNLOAD, runtime.settings, owner)
    return None if claimed is None else claimed.row


def make(runtime: Runtime, number: int = 1, **values: object) -> list[str]:
    with runtime.unit_of_work() as db:
        user = make_user(db)
        return [make_download(db, user, **values).id for _ in range(number)]


def read(runtime: Runtime, row_id: str) -> Download:
    with runtime.unit_of_work() as db:
        return db.get_one(Download, row_id)


def let_lease_run_out(runtime: Runtime, row_id: str) -> None:
    with runtime.unit_of_work() as db:
        past = func.clock_timestamp() - timedelta(seconds=1)
        db.execute(update(Download).where(Download.id == row_id).values(lease_until=past))


def test_rows_are_claimed_once_however_many_ask(runtime: Runtime) -> None:
    made = make(runtime, 12, host="a")
    runtime.live.environment = runtime.live.settings = dataclasses.replace(
        runtime.settings, download_host_limit=64
    )
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda _: claim(runtime), range(20)))
    assert sorted(row.id for row in rows if row) == sorted(made)
    assert all(row.epoch == 1 and row.attempt == 1 and row.status == "downloading" for row in rows if row)


def test_a_host_gets_no_more_than_its_share_at_once(runtime: Runtime) -> None:
    make(runtime, 8, host="busy.example")
    make(runtime, 3, host="youtube")
    with ThreadPoolExecutor(8) as pool:
        rows = [row for row in pool.map(lambda _: claim(runtime), range(20)) if row]
    hosts = [row.host for row in rows]
    assert hosts.count("busy.example") == 4
    assert hosts.count("youtube") == 1


def test_a_worker_takes_no_more_than_its_share_at_once(runtime: Runtime) -> None:
    for host in "abcde":
        make(runtime, 1, host=host)
    rows = [claim(runtime, this_process()) for _ in range(5)]
    assert [row is not None for row in rows] == [True] * 3 + [False] * 2
    assert claim(runtime, OWNER) is None, "the limit is this worker's, whoever asks from it"
    with runtime.unit_of_work() as db:
        db.execute(update(Download).where(Download.id == rows[0].id).values(lease_until=None))  # type: ignore[union-attr]
    assert claim(runtime, this_process()) is not None


def test_a_user_with_many_wishes_does_not_block_another(runtime: Runtime) -> None:
    make(runtime, 5)
    (other,) = make(runtime, 1, host="b")
    assert claim(runtime) is not None
    second = claim(runtime)
    assert second is not None
    assert second.id == other


def test_an_older_epoch_can_not_write(runtime: Runtime) -> None:
    (row_id,) = make(runtime)
    first = claim(runtime)
    assert first is not None
    let_lease_run_out(runtime, row_id)
    with runtime.unit_of_work() as db:
        rescue(db, DOWNLOAD, runtime.settings)
        db.execute(update(Download).values(next_run_at=func.clock_timestamp()))
    second = claim(runtime)
    assert second is not None
    assert (second.epoch, second.crash_count) == (2, 1)
    for change in (
        lambda db: lease.write(db, DOWNLOAD, first, title="stale"),
        lambda db: lease.beat(db, DOWNLOAD, first, timedelta(seconds=90), {"title": "stale"}),
        lambda db: lease.finish(db, DOWNLOAD, first, "completed", title="stale"),
        lambda db: lease.give_back(db, DOWNLOAD, first, after=0, title="stale"),
    ):
        with pytest.raises(Fenced), runtime.unit_of_work() as db:
            change(db)
    row = read(runtime, row_id)
    assert (row.title, row.status, row.epoch) == (None, "downloading", 2)


def test_a_write_that_must_not_follow_a_cancel_does_not(runtime: Runtime) -> None:
    (row_id,) = make(runtime)
    row = claim(runtime)
    assert row is not None
    with runtime.unit_of_work() as db:
        db.execute(update(Download).values(cancel_requested_at=func.clock_timestamp()))
    with pytest.raises(CancelRequested), runtime.unit_of_work() as db:
        lease.write(db, DOWNLOAD, row, unless_cancelled=True, publishing={"path": "x"})
    assert read(runtime, row_id).publishing is None


def test_a_row_is_rescued_when_its_lease_runs_out_and_not_before(runtime: Runtime) -> None:
    (row_id,) = make(runtime)
    claim(runtime)
    with runtime.unit_of_work() as db:
        assert rescue(db, DOWNLOAD, runtime.settings) == 0
    let_lease_run_out(runtime, row_id)
    with runtime.unit_of_work() as db:
        assert rescue(db, DOWNLOAD, runtime.settings) == 1
    row = read(runtime, row_id)
    assert (row.status, row.crash_count, row.lease_until) == ("queued", 1, None)


def test_a_row_whose_holder_died_on_this_host_is_rescued_at_once(runtime: Runtime) -> None:
    (row_id,) = make(runtime)
    claim(runtime, {**this_process(), "started": 1.0})
    with runtime.unit_of_work() as db:
        assert rescue(db, DOWNLOAD, runtime.settings) == 1
    assert read(runtime, row_id).status == "queued"


def test_a_row_that_lives_on_this_host_is_left_alone(runtime: Runtime) -> None:
    make(runtime)
    claim(runtime, this_process())
    with runtime.unit_of_work() as db:
        assert rescue(db, DOWNLOAD, runtime.settings) == 0


def test_a_row_that_crashes_too_often_is_given_up(runtime: Runtime) -> None:
    (row_id,) = make(runtime)
    for _ in range(3):
        with runtime.unit_of_work() as db:
            db.execute(update(Download).values(next_run_at=func.clock_timestamp()))
        assert claim(runtime) is not None
        let_lease_run_out(runtime, row_id)
        with runtime.unit_of_work() as db:
            rescue(db, DOWNLOAD, runtime.settings)
    row = read(runtime, row_id)
    assert row.status == "failed"
    assert row.error is not None
    assert row.error["kind"] == "poison"
    assert row.ended_at is not None


def test_crashes_that_each_got_further_are_no_poison(runtime: Runtime) -> None:
    (row_id,) = make(runtime)
    for reached in (10, 20, 30, 40, 50, 50):
        crash(runtime, row_id, reached)
    row = read(runtime, row_id)
    assert (row.status, row.crash_count) == ("queued", 2), "only the last one began where it ended"


def test_a_row_that_goes_back_and_forth_is_given_up(runtime: Runtime) -> None:
    (row_id,) = make(runtime)
    with structlog.testing.capture_logs() as said:
        for reached in (50, 10, 50):
            crash(runtime, row_id, reached)
    row = read(runtime, row_id)
    assert (row.status, row.error and row.error["kind"], row.crash_count) == ("failed", "poison", 3)
    told = [line for line in said if line["event"] == "job.failed"]
    assert [(line["log_level"], line["kind"], line["row"]) for line in told] == [("error", "poison", row_id)]


def crash(runtime: Runtime, row_id: str, reached: int) -> None:
    """One attempt that writes how far it got, and whose host then dies."""
    with runtime.unit_of_work() as db:
        db.execute(update(Download).values(next_run_at=func.clock_timestamp()))
    row = claim(runtime)
    assert row is not None
    with runtime.unit_of_work() as db:
        lease.beat(db, DOWNLOAD, row, None, {"downloaded_bytes": reached})
    let_lease_run_out(runtime, row_id)
    with runtime.unit_of_work() as db:
        rescue(db, DOWNLOAD, runtime.settings)


def test_a_lost_row_that_was_to_be_cancelled_is_cancelled(runtime: Runtime) -> None:
    (row_id,) = make(runtime)
    claim(runtime)
    let_lease_run_out(runtime, row_id)
    with runtime.unit_of_work() as db:
        db.execute(update(Download).values(cancel_requested_at=func.clock_timestamp()))
        rescue(db, DOWNLOAD, runtime.settings)
    assert read(runtime, row_id).status == "cancelled"


def test_what_waits_in_silence_is_rung_for_once(runtime: Runtime, rung: list[Job]) -> None:
    make(runtime, 3)
    make(runtime, 2, next_run_at=func.clock_timestamp() + timedelta(hours=1))
    rung.clear()
    reconcile(runtime, [DOWNLOAD], lambda queue: 0)
    assert rung == [Job.DOWNLOAD] * 3
    rung.clear()
    reconcile(runtime, [DOWNLOAD], lambda queue: 3)
    assert rung == []


def test_a_slot_is_taken_once(runtime: Runtime) -> None:
    barrier = threading.Barrier(6)

    def take(_: int) -> bool:
        barrier.wait()
        with runtime.unit_of_work() as db:
            return take_slot(db, "nightly", timedelta(days=1))

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(take, range(6))) == 1


def test_nothing_is_rung_for_when_the_unit_rolls_back(runtime: Runtime, rung: list[Job]) -> None:
    from engine.jobs.bell import enqueue

    with pytest.raises(ZeroDivisionError), runtime.unit_of_work() as db:
        enqueue(db, Job.DOWNLOAD)
        raise ZeroDivisionError
    assert rung == []


def test_settings_keep_renewals_well_inside_the_lease() -> None:
    from config.settings import SettingsError

    with pytest.raises(SettingsError, match="LEASE_RENEW_SECONDS"):
        Settings.load({"LEASE_SECONDS": "10", "LEASE_RENEW_SECONDS": "9"})
