"""Places go round between users: who comes first, who makes room, and what those who wait are told."""

from __future__ import annotations

import dataclasses
import threading
from datetime import timedelta
from typing import Any

import pytest
from factories import make_download, make_user
from fakes.video_site import VideoSite
from sqlalchemy import delete, func, select, update
from stack import eventually

from config.celery import QUEUES
from engine.audit import Actor
from engine.downloads import turns as download_turns
from engine.downloads import work as download_work
from engine.downloads.progress import Throughput
from engine.downloads.shown import waiting
from engine.downloads.sources import host_breaker
from engine.downloads.work import DOWNLOAD
from engine.jobs import lease
from engine.jobs.pauses import note_block
from engine.jobs.runner import Attempt, Yielded, run_next
from engine.monitoring import queues
from engine.runtime import Runtime
from models.download import Download, DownloadTurn
from models.user import User

OWNER = {"host": "elsewhere", "parent": 1, "pid": 1, "started": 1.0}
NOW = func.clock_timestamp()


def ago(seconds: float) -> Any:
    return NOW - timedelta(seconds=seconds)


def user(runtime: Runtime) -> User:
    with runtime.unit_of_work() as db:
        return make_user(db)


def wait(runtime: Runtime, owner: User, seconds: float = 0, **values: Any) -> str:
    with runtime.unit_of_work() as db:
        return make_download(db, owner, next_run_at=ago(seconds), **values).id


def hold(runtime: Runtime, owner: User, seconds: float = 61, **values: Any) -> Download:
    """A row that has been worked on for so long."""
    held = {
        "status": "downloading", "lease_until": NOW + timedelta(hours=1), "epoch": 1, "attempt": 1,
        "downloading_at": ago(seconds),
    }  # fmt: skip
    with runtime.unit_of_work() as db:
        return make_download(db, owner, **{**held, **values})


def claim(runtime: Runtime) -> str | None:
    with runtime.unit_of_work() as db:
        claimed = lease.claim(db, DOWNLOAD, runtime.settings, OWNER)
    return None if claimed is None else claimed.row.id


def ends(runtime: Runtime, row_id: str | None, status: str = "completed") -> None:
    with runtime.unit_of_work() as db:
        row = db.get_one(Download, row_id)
        lease.finish(db, DOWNLOAD, row, status)


def makes_room(runtime: Runtime, *rows: Download, slow: bool = False) -> list[bool]:
    """What each of the rows is told, when they ask one after the other."""
    told = []
    for row in rows:
        with runtime.unit_of_work() as db:
            told.append(download_turns.makes_room(db, runtime.settings, row, slow=slow))
    return told


def test_one_place_goes_round_however_much_one_user_asked_for_before(runtime: Runtime) -> None:
    ann, bob = user(runtime), user(runtime)
    anns = [wait(runtime, ann, host="youtube") for _ in range(4)]
    bobs = [wait(runtime, bob, host="youtube") for _ in range(2)]
    order = []
    while row_id := claim(runtime):
        order.append(row_id)
        ends(runtime, row_id)
    assert order == [anns[0], bobs[0], anns[1], bobs[1], anns[2], anns[3]]


@pytest.mark.parametrize("host", ["127.0.0.1", "youtube"])
def test_nobody_waits_longer_for_a_first_place_than_a_turn(runtime: Runtime, host: str) -> None:
    """Three places, or the one of a host: whatever the speed of those who have them."""
    ann, bob = user(runtime), user(runtime)
    rows = [hold(runtime, ann, 100 - n, host=host) for n in range(1 if host == "youtube" else 3)]
    assert not any(makes_room(runtime, *rows)), "nobody waits"
    row_id = wait(runtime, bob, 59, host=host)
    assert not any(makes_room(runtime, *rows))
    with runtime.unit_of_work() as db:
        db.execute(update(Download).where(Download.id == row_id).values(next_run_at=ago(61)))
    assert makes_room(runtime, *reversed(rows)) == [False] * (len(rows) - 1) + [True], (
        "one, the first of them"
    )
    assert not any(makes_room(runtime, *rows)), "the place that came free has not been taken yet"


def test_places_of_several_users_are_theirs(runtime: Runtime) -> None:
    ann, bob, cem = (user(runtime) for _ in range(3))
    anns, bobs = hold(runtime, ann), hold(runtime, bob)
    wait(runtime, cem, 1000)
    assert makes_room(runtime, anns, bobs) == [False, False], "each has one"
    second = hold(runtime, bob, 100)
    assert makes_room(runtime, anns, bobs, second) == [False, False, True], "of whom has most"


def test_what_is_too_slow_makes_room_sooner_and_even_if_it_is_the_only_one(runtime: Runtime) -> None:
    ann, bob, cem = (user(runtime) for _ in range(3))
    anns, _ = hold(runtime, ann), hold(runtime, bob)
    assert makes_room(runtime, anns, slow=True) == [False], "nobody waits"
    wait(runtime, bob, 1000)
    assert makes_room(runtime, anns, slow=True) == [False], "who waits has one running"
    wait(runtime, cem, 11)
    assert makes_room(runtime, anns, slow=True) == [True]


@pytest.mark.parametrize(
    "values",
    [
        {"status": "processing"},
        {"publishing": {"path": "a"}},
        {"downloading_at": ago(59)},
        {"priority": 1},
        {"cancel_requested_at": NOW},
    ],
    ids=["processing", "publishing", "just begun", "first by an admin's word", "about to end"],
)
def test_what_stays_where_it_is(runtime: Runtime, values: dict[str, Any]) -> None:
    ann, bob = user(runtime), user(runtime)
    rows = [hold(runtime, ann, **values) for _ in range(2)]
    wait(runtime, bob, 1000)
    assert makes_room(runtime, *rows) == makes_room(runtime, *rows, slow=True) == [False, False]


@pytest.mark.parametrize("why", ["throttled", "paused", "disk", "other host"])
def test_a_place_that_would_help_nobody_is_kept(runtime: Runtime, why: str) -> None:
    ann, bob = user(runtime), user(runtime)
    rows = [hold(runtime, ann, host="a.example") for _ in range(3)]
    wait(runtime, bob, 1000, host="youtube")
    with runtime.unit_of_work() as db:
        if why == "throttled":
            host_breaker.throttle(db, "youtube", "bot_check", 900)
        elif why == "paused":
            queues.pause(db, QUEUES, "downloads", Actor("user-1"))
        elif why == "disk":
            note_block(db, "downloads", "disk")
    if why == "other host":
        cem = user(runtime)
        hold(runtime, cem, 5, host="youtube")
    assert makes_room(runtime, *rows) == [False] * 3


@pytest.mark.parametrize(("yields", "patience"), [(0, 60), (1, 600), (2, 1200), (3, 2400)])
def test_two_who_share_a_place_have_longer_and_longer_turns(
    runtime: Runtime, yields: int, patience: int
) -> None:
    ann, bob = user(runtime), user(runtime)
    row = hold(runtime, ann, 10_000, host="youtube")
    wait(runtime, bob, 10_000, host="youtube")
    for seconds, told in ((patience - 5, False), (patience + 5, True)):
        with runtime.unit_of_work() as db:
            db.execute(delete(DownloadTurn))
            db.add(DownloadTurn(user_id=bob.id, released_at=ago(seconds), yields=yields))
        assert makes_room(runtime, row, slow=yields > 0) == [told]


def test_a_completed_download_makes_a_user_one_like_any_other(runtime: Runtime) -> None:
    ann = user(runtime)
    wait(runtime, ann)
    row_id = claim(runtime)
    with runtime.unit_of_work() as db:
        db.execute(update(DownloadTurn).values(yields=3))
    ends(runtime, row_id)
    with runtime.unit_of_work() as db:
        assert db.get_one(DownloadTurn, ann.id).yields == 0


def test_what_made_room_waits_uncounted_and_behind_the_other(runtime: Runtime) -> None:
    ann, bob = user(runtime), user(runtime)
    row_id = wait(runtime, ann, host="youtube")
    other = ""

    def work(attempt: Attempt[Download]) -> dict[str, Any]:
        nonlocal other
        other = wait(runtime, bob, 61, host="youtube")
        with runtime.unit_of_work() as db:
            db.execute(update(Download).where(Download.id == row_id).values(downloading_at=ago(61)))
        with runtime.unit_of_work() as db:
            assert download_turns.makes_room(db, runtime.settings, attempt.row, slow=False)
        raise Yielded(yielded_at=NOW)

    assert run_next(runtime, DOWNLOAD, work)
    with runtime.unit_of_work() as db:
        row = db.get_one(Download, row_id)
        assert (row.status, row.attempt, row.crash_count, row.error) == ("queued", 0, 0, None)
        told = waiting.reasons(db, runtime.settings, [row])[row_id]
    assert (told["kind"], told["until"]) == ("yielded", None)
    assert claim(runtime) == other
    ends(runtime, other)
    assert claim(runtime) == row_id
    with runtime.unit_of_work() as db:
        assert db.get_one(Download, row_id).yielded_at is None


def reached(runtime: Runtime, row_id: str) -> int:
    with runtime.reading() as db:
        return db.scalar(select(Download.downloaded_bytes).where(Download.id == row_id)) or 0


def test_a_transfer_that_drips_is_ended_where_another_waits(runtime: Runtime) -> None:
    """The whole way of an attempt: it goes back to the queue with its bytes, and they are gone on with."""
    runtime.live.environment = runtime.live.settings = dataclasses.replace(
        runtime.settings, download_turn_seconds=2.0, download_slow_speed=1 << 20, download_host_limit=1
    )
    ann, bob = user(runtime), user(runtime)
    with VideoSite() as site:
        url = f"{site.url}/direct/drips.mp4?size=400000&rate=20000"
        row_id = wait(runtime, ann, url=url)
        other = wait(runtime, bob)
        with runtime.unit_of_work() as db:  # the other's comes first, but is not there yet
            db.execute(
                update(Download).where(Download.id == other).values(next_run_at=NOW + timedelta(days=1))
            )

        def come() -> None:
            eventually(lambda: reached(runtime, row_id), 60, what="bytes arrive")
            with runtime.unit_of_work() as db:
                db.execute(update(Download).where(Download.id == other).values(next_run_at=ago(1)))

        coming = threading.Thread(target=come)
        coming.start()
        assert run_next(runtime, DOWNLOAD, download_work.work)
        coming.join()
    with runtime.unit_of_work() as db:
        row = db.get_one(Download, row_id)
    assert (row.status, row.attempt, row.error) == ("queued", 0, None)
    assert row.yielded_at is not None
    assert 0 < (row.downloaded_bytes or 0) < 400_000
    assert list((runtime.settings.work_dir / row_id).glob("*.part"))
    assert claim(runtime) == other


def test_whoever_waits_is_told_why(runtime: Runtime) -> None:
    ann, bob = user(runtime), user(runtime)
    row_id = wait(runtime, ann, host="b.example")

    def told() -> tuple[str, str]:
        with runtime.unit_of_work() as db:
            found = waiting.reasons(db, runtime.settings, [db.get_one(Download, row_id)])[row_id]
        return found["kind"], found["message"]

    assert told() == ("turn", "Its turn is next: it begins as soon as a worker is free.")
    hold(runtime, bob)
    assert told() == ("turn", "It waits for a place: 1 of other people's run before it.")
    hold(runtime, ann)
    hold(runtime, bob)
    assert told() == ("turn", "It waits for a place: 1 of yours and 2 of other people's run before it.")


@pytest.mark.parametrize(
    ("points", "slow"),
    [
        ([(0, 0), (30, 100)], False),
        ([(0, 0), (60, 60 * 1000)], False),
        ([(0, 0), (30, 100), (60, 200)], True),
        ([(0, 0), (60, 9_000_000), (120, 9_000_100)], True),
        ([(0, 0), (59, 0), (60, 9_000_000)], False),
    ],
    ids=["not for long enough", "fast enough", "slow", "slow by now", "a pause and then fast"],
)
def test_what_slow_means(points: list[tuple[float, int]], *, slow: bool) -> None:
    throughput = Throughput()
    for at, reached in points:
        throughput.note(at, reached, 60)
    assert throughput.is_below(1000, 60) is slow


def test_rows_that_can_not_begin_hide_nobody_elses(runtime: Runtime) -> None:
    ann, bob = user(runtime), user(runtime)
    hold(runtime, bob, host="youtube")
    with runtime.unit_of_work() as db:
        for _ in range(50):
            make_download(db, ann, host="youtube")
        wish = make_download(db, ann, host="b.example").id
    assert claim(runtime) == wish


def test_settings_decide(runtime: Runtime) -> None:
    ann, bob = user(runtime), user(runtime)
    rows = [hold(runtime, ann, 6) for _ in range(2)]
    wait(runtime, bob, 6)
    assert not any(makes_room(runtime, *rows))
    runtime.live.environment = runtime.live.settings = dataclasses.replace(
        runtime.settings, download_turn_seconds=5.0
    )
    assert any(makes_room(runtime, *rows))
