"""An attempt that got further is not counted, within bounds; what a failed download has fetched is kept for a day."""

from __future__ import annotations

import dataclasses
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import make_download, make_user
from fakes.flaky_site import flaky_site
from fakes.video_site import VideoSite
from sqlalchemy import func, update

from engine.clients.fetch_errors import FetchError
from engine.downloads import cleanup, downloads, publishing
from engine.downloads import work as download_work
from engine.downloads.work import DOWNLOAD, failure
from engine.jobs import lease
from engine.jobs.lease import CancelRequested
from engine.jobs.runner import Attempt, Retry, run_next
from engine.runtime import Runtime
from engine.storage.layout import STAGING
from models.download import Download

NETWORK = {"kind": "network", "message": "m", "advice": "a", "retryable": True}
TOTAL = 100_000_000
STEP = TOTAL // 100


def read(runtime: Runtime, row_id: str) -> Download:
    with runtime.unit_of_work() as db:
        return db.get_one(Download, row_id)


def set_row(runtime: Runtime, row_id: str, **values: Any) -> None:
    with runtime.unit_of_work() as db:
        db.execute(update(Download).where(Download.id == row_id).values(**values))


def fail_at(
    runtime: Runtime, row_id: str, reached: int, kind: str = "network", total: int | None = TOTAL
) -> Download:
    """An attempt that gets as far as `reached` bytes and fails."""

    def work(attempt: Attempt[Download]) -> dict[str, Any]:
        attempt.write(downloaded_bytes=reached, total_bytes=total)
        attempt.row.downloaded_bytes, attempt.row.total_bytes = reached, total
        raise failure(FetchError(kind), attempt.row, runtime.settings)

    set_row(runtime, row_id, next_run_at=func.clock_timestamp())
    assert run_next(runtime, DOWNLOAD, work)
    return read(runtime, row_id)


def test_what_gets_further_is_not_counted(runtime: Runtime, row_id: str) -> None:
    for turn in range(1, 20):
        row = fail_at(runtime, row_id, turn * 2 * STEP)
        assert (row.status, row.attempt) == ("queued", 0)
    for attempt in range(1, 5):
        row = fail_at(runtime, row_id, 19 * 2 * STEP + STEP - 1)
        assert (row.status, row.attempt) == ("queued", attempt), "less than a hundredth is nothing"
    assert fail_at(runtime, row_id, 0).status == "failed"


def test_the_same_way_again_is_no_progress(runtime: Runtime, row_id: str) -> None:
    """A site that does not resume: up and down, for ever."""
    reached = [80, 10, 70, 30, 80, 81]
    rows = [fail_at(runtime, row_id, percent * STEP) for percent in reached]
    assert [row.attempt for row in rows] == [0, 1, 2, 3, 4, 4], "only beyond the furthest ever"


def test_a_size_that_grows_with_each_byte_is_no_way_around_it(runtime: Runtime, row_id: str) -> None:
    assert fail_at(runtime, row_id, 1_000_000, total=2_000_000).attempt == 0
    assert fail_at(runtime, row_id, 1_000_500, total=1).attempt == 1


def test_without_a_size_a_mebibyte_counts(runtime: Runtime, row_id: str) -> None:
    assert fail_at(runtime, row_id, 1 << 20, total=None).attempt == 0
    assert fail_at(runtime, row_id, (2 << 20) - 1, total=None).attempt == 1


def test_an_attempt_that_a_limit_ended_is_counted_however_far_it_got(runtime: Runtime, row_id: str) -> None:
    assert [fail_at(runtime, row_id, n * 10 * STEP, "too_slow").attempt for n in (1, 2)] == [1, 2]


def test_one_more_look_is_one_for_each_stretch(runtime: Runtime, row_id: str) -> None:
    """An address that expires each hour is refused each hour."""
    for turn in (1, 2, 3):
        assert fail_at(runtime, row_id, turn * 10 * STEP, "forbidden").status == "queued"
    assert fail_at(runtime, row_id, 30 * STEP, "forbidden").status == "failed"


def test_a_day_without_network_is_counted_from_the_last_byte(runtime: Runtime, row_id: str) -> None:
    long_ago = func.clock_timestamp() - timedelta(days=3)
    fail_at(runtime, row_id, 10 * STEP)
    set_row(runtime, row_id, started_at=long_ago)
    assert fail_at(runtime, row_id, 10 * STEP, "offline").attempt == 0, "a minute ago it got on"
    row = read(runtime, row_id)
    assert row.lease_owner is not None
    set_row(runtime, row_id, lease_owner={**row.lease_owner, "since": time.time() - 90_000})
    assert fail_at(runtime, row_id, 10 * STEP, "offline").attempt == 1


def test_a_retry_by_a_person_begins_with_all_attempts(runtime: Runtime, row_id: str) -> None:
    fail_at(runtime, row_id, 60 * STEP)
    fail_at(runtime, row_id, 0, "private")
    row = read(runtime, row_id)
    with runtime.unit_of_work() as db:
        downloads.retry(db, row_id, owner_id=row.user_id)
    assert fail_at(runtime, row_id, 5 * STEP).attempt == 0, "on another host it begins anew, and gets on"


def work_folder(runtime: Runtime, row_id: str) -> Path:
    folder = runtime.settings.work_dir / row_id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stream0.media.part").write_bytes(b"half")
    return folder


def sweep(runtime: Runtime) -> None:
    with runtime.unit_of_work() as db:
        cleanup.sweep(db, runtime.settings)


def ended(runtime: Runtime, row_id: str, *, error: dict[str, Any] | None, **values: Any) -> None:
    now = func.clock_timestamp()
    set_row(runtime, row_id, **{"status": "failed", "ended_at": now, "error": error, **values})


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ({"error": NETWORK}, True),
        ({"error": NETWORK, "ended_at": func.clock_timestamp() - timedelta(hours=25)}, False),
        ({"error": NETWORK | {"retryable": False}}, False),
        ({"error": None, "status": "cancelled"}, False),
        ({"error": NETWORK, "status": "cancelled"}, False),
        ({"error": None, "status": "completed"}, False),
    ],
)
def test_what_of_an_ended_download_is_kept(
    runtime: Runtime, row_id: str, values: dict[str, Any], *, kept: bool
) -> None:
    folder = work_folder(runtime, row_id)
    ended(runtime, row_id, **values)
    sweep(runtime)
    assert folder.exists() is kept


def test_what_is_kept_makes_room_on_a_short_disk(runtime: Runtime, row_id: str) -> None:
    folder = work_folder(runtime, row_id)
    ended(runtime, row_id, error=NETWORK)
    runtime.live.environment = runtime.live.settings = dataclasses.replace(
        runtime.settings, disk_reserve_bytes=1 << 50
    )
    sweep(runtime)
    assert not folder.exists()


def test_what_was_removed_leaves_nothing(runtime: Runtime, row_id: str) -> None:
    folder = work_folder(runtime, row_id)
    ended(runtime, row_id, error=NETWORK)
    with runtime.unit_of_work() as db:
        downloads.delete(db, row_id, owner_id=None)
    sweep(runtime)
    assert not folder.exists()


def test_nothing_is_taken_from_one_that_is_being_tried_again(runtime: Runtime, row_id: str) -> None:
    folder = work_folder(runtime, row_id)
    ended(runtime, row_id, error=None, status="cancelled")
    with runtime.unit_of_work() as person:
        downloads.retry(person, row_id, owner_id=None)  # not committed yet
        sweep(runtime)
        assert folder.exists()


def work_off(runtime: Runtime, row_id: str) -> Download:
    """Attempt after attempt, without the pauses between them."""
    while (row := read(runtime, row_id)).status == "queued":
        set_row(runtime, row_id, next_run_at=func.clock_timestamp())
        assert run_next(runtime, DOWNLOAD, download_work.work)
    return row


def test_a_failed_download_goes_on_at_its_byte(runtime: Runtime) -> None:
    def work(attempt: Attempt[Download]) -> Any:
        try:
            return download_work.work(attempt)
        except Retry as retry:
            retry.limit = True  # the last of its attempts, whatever it got
            raise

    with flaky_site(2_000_000, 500_000) as site:
        site.silent_from = 1_000_000
        with runtime.unit_of_work() as db:
            made = make_download(db, make_user(db), url=site.url, attempt=5)
        assert run_next(runtime, DOWNLOAD, work)
        row = read(runtime, made.id)
        assert (row.status, row.error and row.error["kind"]) == ("failed", "truncated")
        sweep(runtime)
        with runtime.unit_of_work() as db:
            downloads.retry(db, made.id, owner_id=row.user_id)
        site.asked.clear()
        site.silent_from = None
        row = work_off(runtime, made.id)
    assert row.status == "completed", row.error
    assert row.file is not None
    assert (runtime.settings.download_dir / row.file["path"]).read_bytes() == site.body
    assert next(filter(None, site.asked)) > 700_000


def test_what_can_not_succeed_keeps_nothing(runtime: Runtime, video_site: VideoSite) -> None:
    with runtime.unit_of_work() as db:
        made = make_download(db, make_user(db), url=f"{video_site.url}/text/nothing")
    assert run_next(runtime, DOWNLOAD, download_work.work)
    assert read(runtime, made.id).status == "failed"
    assert list(runtime.settings.work_dir.iterdir()) == []
    assert list((runtime.settings.download_dir / STAGING).iterdir()) == []


def test_a_cancel_in_the_last_moment_of_a_failing_attempt(runtime: Runtime, row_id: str) -> None:
    """Nobody would ever claim or end a row that waits and is to be cancelled."""

    def work(attempt: Attempt[Download]) -> dict[str, Any]:
        with runtime.unit_of_work() as db:
            downloads.delete(db, row_id, owner_id=None)
        raise Retry(NETWORK)

    assert run_next(runtime, DOWNLOAD, work)
    row = read(runtime, row_id)
    assert row.status == "cancelled"
    assert row.ended_at is not None


def test_progress_of_the_last_second_is_written_down(runtime: Runtime) -> None:
    """An attempt that ends between two looks at its row has got further all the same."""
    runtime.live.environment = runtime.live.settings = dataclasses.replace(
        runtime.settings, download_attempts=2
    )
    with flaky_site(2_000_000, 150_000) as site:
        with runtime.unit_of_work() as db:
            made = make_download(db, make_user(db), url=site.url)
        row = work_off(runtime, made.id)
    assert row.status == "completed", row.error


def test_a_cancelled_one_keeps_nothing(runtime: Runtime, row_id: str) -> None:
    folder = work_folder(runtime, row_id)
    with runtime.unit_of_work() as db:
        claimed = lease.claim(db, DOWNLOAD, runtime.settings, {"host": "h", "pid": 1, "started": 1.0})
        assert claimed is not None
        downloads.delete(db, row_id, owner_id=None)
    with pytest.raises(CancelRequested):
        download_work.work(Attempt(runtime, DOWNLOAD, claimed))
    assert not folder.exists()


class Died(BaseException):
    """The worker is killed here."""


def test_a_file_that_has_its_name_is_not_published_again(
    runtime: Runtime, row_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The download was given up between the file's name and its row's end."""

    def die(_: Path) -> None:
        raise Died

    with runtime.unit_of_work() as db:
        claimed = lease.claim(db, DOWNLOAD, runtime.settings, {"host": "h", "pid": 1, "started": 1.0})
    assert claimed is not None
    source = work_folder(runtime, row_id) / "stream0.media.part"
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "_sync_folder", die)
        with pytest.raises(Died):
            publishing.publish(Attempt(runtime, DOWNLOAD, claimed), source, "A.mp4", {"container": "mp4"})
    ended(runtime, row_id, error=NETWORK, lease_until=None)
    with runtime.unit_of_work() as db:
        downloads.retry(db, row_id, owner_id=None)
    assert run_next(runtime, DOWNLOAD, download_work.work)
    row = read(runtime, row_id)
    assert row.file is not None
    assert (row.status, row.file["path"]) == ("completed", "A.mp4")
    root = runtime.settings.download_dir
    assert [path.name for path in root.iterdir() if path.is_file()] == ["A.mp4"]
