"""Budgets of downloads: breaker of a host, priority, disk reserve, paused queues; and how they are shown."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from factories import make_download, make_user
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from config.celery import QUEUES
from engine.audit import Actor
from engine.clients.fetch_errors import FetchError
from engine.downloads import downloads
from engine.downloads.shown import waiting
from engine.downloads.sources import host_breaker
from engine.downloads.work import DOWNLOAD, failure
from engine.errors import Conflict, NotFound
from engine.job_names import Job
from engine.jobs import lease
from engine.jobs.reconcile import due
from engine.jobs.runner import Attempt, GiveUp, Retry, run_next
from engine.monitoring import queues
from engine.runtime import Runtime
from models.download import Download
from models.queue import SourceHost

OWNER = {"host": "elsewhere", "parent": 1, "pid": 1, "started": 1.0}


def claim(db: Session, runtime: Runtime) -> Download | None:
    claimed = lease.claim(db, DOWNLOAD, runtime.settings, OWNER)
    return None if claimed is None else claimed.row


def until(db: Session, host: str) -> float:
    left = func.extract("epoch", SourceHost.throttled_until - func.clock_timestamp())
    return float(db.scalar(select(left).where(SourceHost.name == host)) or 0)


def test_a_throttled_host_rests_and_others_go_on(db: Session, runtime: Runtime) -> None:
    user = make_user(db)
    resting = make_download(db, user, host="a.example")
    other = make_download(db, user, host="b.example")
    host_breaker.throttle(db, "a.example", "rate_limited", 900)
    row = claim(db, runtime)
    assert row is not None
    assert row.id == other.id
    assert claim(db, runtime) is None
    assert due(db, DOWNLOAD, runtime.settings, 10) == 0
    db.execute(update(SourceHost).values(throttled_until=func.clock_timestamp()))
    row = claim(db, runtime)
    assert row is not None
    assert row.id == resting.id, "it goes on by itself"


def test_each_strike_in_a_row_doubles_the_rest_up_to_four_hours(db: Session) -> None:
    rests = []
    for _ in range(7):
        host_breaker.throttle(db, "a.example", "bot_check", 900)
        rests.append(round(until(db, "a.example") / 60))
        db.execute(update(SourceHost).values(throttled_until=func.clock_timestamp() - timedelta(seconds=1)))
    assert rests == [15, 30, 60, 120, 240, 240, 240]
    host_breaker.forgive(db, "a.example")
    host_breaker.throttle(db, "a.example", "bot_check", 900)
    assert round(until(db, "a.example") / 60) == 15, "a success forgets the strikes"


def test_complaints_of_downloads_under_way_count_once(db: Session) -> None:
    for _ in range(3):
        host_breaker.throttle(db, "a.example", "bot_check", 900)
    assert round(until(db, "a.example") / 60) == 15
    host_breaker.forgive(db, "a.example")
    assert until(db, "a.example") > 0, "a success of one under way does not end the rest"


def test_a_long_wish_of_the_site_is_granted(db: Session) -> None:
    host_breaker.throttle(db, "a.example", "rate_limited", 5 * 3600)
    db.execute(update(SourceHost).values(throttled_until=func.clock_timestamp() - timedelta(seconds=1)))
    host_breaker.throttle(db, "a.example", "rate_limited", 5 * 3600)
    assert round(until(db, "a.example") / 3600) == 5


def test_priority_comes_before_age_and_fairness(db: Session, runtime: Runtime) -> None:
    user = make_user(db)
    rows = [make_download(db, user, host=f"{n}.example") for n in range(3)]
    downloads.set_priority(db, rows[2].id, 5)
    downloads.set_priority(db, rows[0].id, -5)
    order = [claim(db, runtime) for _ in range(3)]
    assert [row.id for row in order if row] == [rows[2].id, rows[1].id, rows[0].id]
    with pytest.raises(Conflict, match="downloading"):
        downloads.set_priority(db, rows[0].id, 1)


def test_a_nearly_full_disk_lets_nothing_begin(db: Session, runtime: Runtime) -> None:
    row = make_download(db, make_user(db))
    runtime.settings.download_dir.mkdir(parents=True)
    enough = runtime.settings
    runtime.live.environment = runtime.live.settings = dataclasses.replace(enough, disk_reserve_bytes=1 << 50)
    with structlog.testing.capture_logs() as said:
        assert claim(db, runtime) is None
        assert claim(db, runtime) is None
    assert [(line["event"], line["log_level"], line["reason"]) for line in said] == [
        ("queue.blocked", "warning", "disk")
    ], "told once, not at each look"
    state = queues.overview(db, QUEUES)[0]
    assert (state.name, state.blocked, state.depth) == ("downloads", "disk", 1)
    assert waiting.reasons(db, runtime.settings, [row])[row.id]["kind"] == "disk"
    runtime.live.environment = runtime.live.settings = dataclasses.replace(
        enough, disk_reserve_bytes=0, disk_reserve_percent=0
    )
    with structlog.testing.capture_logs() as said:
        assert claim(db, runtime) is not None
    assert [(line["event"], line["log_level"]) for line in said] == [("queue.unblocked", "info")]
    assert queues.overview(db, QUEUES)[0].blocked is None


def test_what_running_downloads_still_need_counts_as_used(db: Session, runtime: Runtime) -> None:
    user = make_user(db)
    runtime.settings.download_dir.mkdir(parents=True)
    runtime.live.environment = runtime.live.settings = dataclasses.replace(
        runtime.settings, disk_reserve_bytes=0, disk_reserve_percent=0
    )
    make_download(
        db,
        user,
        status="downloading",
        lease_until=func.clock_timestamp(),
        total_bytes=1 << 50,
        downloaded_bytes=5,
    )
    make_download(db, user, host="b.example")
    assert claim(db, runtime) is None


def test_a_paused_queue_begins_nothing_and_goes_on_when_resumed(db: Session, runtime: Runtime) -> None:
    row = make_download(db, make_user(db))
    state = queues.pause(db, QUEUES, "downloads", Actor("user-1"))
    assert (state.paused_by, state.depth) == ("user-1", 1)
    first = state.paused_at
    assert queues.pause(db, QUEUES, "downloads", Actor("user-1")).paused_at == first, "harmless when repeated"
    assert claim(db, runtime) is None
    assert due(db, DOWNLOAD, runtime.settings, 10) == 0
    assert waiting.reasons(db, runtime.settings, [row])[row.id]["kind"] == "paused"
    db.info.clear()
    assert queues.resume(db, QUEUES, "downloads", Actor("user-1")).paused_at is None
    assert Job.DOWNLOAD in db.info["jobs"]
    assert claim(db, runtime) is not None


def test_queues_that_can_not_be_paused(db: Session) -> None:
    with pytest.raises(NotFound, match="downloads"):
        queues.pause(db, QUEUES, "films", Actor("user-1"))
    with pytest.raises(Conflict):
        queues.pause(db, QUEUES, "maintenance", Actor("user-1"))


def test_the_overview_counts_what_waits_and_what_runs(db: Session, runtime: Runtime) -> None:
    user = make_user(db)
    oldest = make_download(db, user)
    make_download(db, user)
    make_download(db, user, next_run_at=func.clock_timestamp() + timedelta(hours=1))
    make_download(db, user, status="completed", ended_at=func.clock_timestamp())
    assert claim(db, runtime) is not None
    host_breaker.throttle(db, "youtube", "bot_check", 900)
    state = {state.name: state for state in queues.overview(db, QUEUES)}["downloads"]
    assert (state.depth, state.delayed, state.running) == (1, 1, 1)
    assert state.oldest is not None
    assert state.oldest > oldest.created_at
    assert [(host.name, host.reason) for host in state.throttled_hosts] == [("youtube", "bot_check")]


def test_a_queued_download_says_what_it_waits_for(db: Session, runtime: Runtime) -> None:
    user = make_user(db)
    later = make_download(db, user, next_run_at=func.clock_timestamp() + timedelta(hours=1))
    resting = make_download(db, user, host="youtube")
    plain = make_download(db, user)
    host_breaker.throttle(db, "youtube", "bot_check", 900)
    found = waiting.reasons(db, runtime.settings, [later, resting, plain])
    assert {row_id: reason["kind"] for row_id, reason in found.items()} == {
        later.id: "retry",
        resting.id: "host",
        plain.id: "turn",
    }
    assert found[later.id]["until"] == later.next_run_at


def test_a_download_of_a_host_with_its_share_running_says_so(db: Session, runtime: Runtime) -> None:
    user = make_user(db)
    rows = [make_download(db, user, host="youtube") for _ in range(2)]
    assert claim(db, runtime) is not None
    assert claim(db, runtime) is None
    for row in rows:
        db.refresh(row)
    found = waiting.reasons(db, runtime.settings, rows)
    assert {row_id: reason["kind"] for row_id, reason in found.items()} == {rows[1].id: "limit"}


def test_what_this_server_lacks_is_waited_for_a_minute_at_a_time(runtime: Runtime) -> None:
    row = Download(started_at=datetime.now(UTC) - timedelta(hours=20))
    for kind in ("offline", "disk_full"):
        found = failure(FetchError(kind), row, runtime.settings)
        assert isinstance(found, Retry)
        assert (found.after, found.counts) == (60.0, False)
    row.started_at = datetime.now(UTC) - timedelta(hours=25)
    found = failure(FetchError("offline"), row, runtime.settings)
    assert isinstance(found, Retry)
    assert (found.after, found.counts) == (None, True), "a day is enough: it may be the site after all"


def test_the_last_words_of_a_download_do_not_promise_another_attempt(runtime: Runtime) -> None:
    with runtime.unit_of_work() as db:
        row_id = make_download(db, make_user(db), attempt=runtime.settings.download_attempts - 1).id

    def fail(attempt: Attempt[Download]) -> dict[str, Any]:
        raise failure(FetchError("network"), attempt.row, runtime.settings)

    assert run_next(runtime, DOWNLOAD, fail)
    with runtime.unit_of_work() as db:
        row = db.get_one(Download, row_id)
    assert row.status == "failed"
    assert row.error is not None
    assert row.error["advice"] == "Try it again when the site can be reached."


@pytest.mark.parametrize(
    ("kind", "retry_after", "before", "outcome", "after"),
    [
        ("private", None, None, GiveUp, None),
        ("network", None, None, Retry, None),
        ("network", 7.0, None, Retry, 7.0),
        ("rate_limited", None, None, Retry, 0.0),
        ("live_not_started", None, None, Retry, 900.0),
        ("forbidden", None, None, Retry, None),
        ("forbidden", None, "forbidden", GiveUp, None),
        ("forbidden", None, "network", Retry, None),
    ],
)
def test_what_a_failure_means_for_the_row(
    runtime: Runtime,
    kind: str,
    retry_after: float | None,
    before: str | None,
    outcome: type,
    after: float | None,
) -> None:
    row = Download(error=None if before is None else {"kind": before})
    found = failure(FetchError(kind, retry_after=retry_after), row, runtime.settings)
    assert isinstance(found, outcome)
    if isinstance(found, Retry):
        assert found.after == after
        assert found.counts is (kind != "live_not_started")
