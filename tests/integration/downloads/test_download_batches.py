"""`POST /youtube/downloads`: many at once, each judged on its own, none lost."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from door import Door, Person, data_of, opened, refused
from sqlalchemy import func, select, text, update
from stack import eventually

from config.settings import Settings
from config.variables import Rate
from engine.job_names import Job
from engine.runtime import Runtime
from models.download import Download
from models.user import User

SITE = "http://127.0.0.1"


def submit(person: Person, *items: Any) -> list[dict[str, Any]]:
    answer = person.post("/youtube/downloads", json={"items": list(items)})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = data_of(answer)["items"]
    assert len(found) == len(items)
    return found


def results(outcomes: list[dict[str, Any]]) -> list[str]:
    return [each["result"] for each in outcomes]


def urls_of(person: Person) -> list[str]:
    """The videos that they have asked for, oldest first."""
    return [row["url"] for row in reversed(data_of(person.get("/youtube/downloads?limit=100"))["items"])]


class TestOutcomes:
    def test_each_has_its_own_in_their_order(self, ann: Person) -> None:
        before = data_of(ann.post("/youtube/download", json={"url": f"{SITE}/old"}))

        outcomes = submit(
            ann,
            {"url": f"{SITE}/1", "quality": "720p", "format": "mkv", "downloadPath": "films"},
            {"url": "http://example.com/2"},
            {"url": f"{SITE}/old"},
            {"url": f"{SITE}/3", "quality": "huge"},
            {"url": f"{SITE}/1", "quality": "720p", "format": "mkv"},
            {"url": f"{SITE}/4"},
        )

        assert results(outcomes) == ["created", "refused", "existing", "refused", "existing", "created"]
        assert [each["url"] for each in outcomes] == [
            f"{SITE}/1", "http://example.com/2", f"{SITE}/old", f"{SITE}/3", f"{SITE}/1", f"{SITE}/4",
        ]  # fmt: skip
        first, _, old, _, again, last = (each["download"] for each in outcomes)
        assert (first["quality"], first["format"], first["downloadPath"]) == ("720p", "mkv", "films")
        assert (old["id"], again["id"]) == (before["id"], first["id"])
        assert urls_of(ann) == [f"{SITE}/old", f"{SITE}/1", f"{SITE}/4"]
        assert data_of(ann.get(f"/youtube/downloads/{last['id']}"))["status"] == "queued"

    @pytest.mark.parametrize(
        ("item", "field"),
        [
            ({"url": "ftp://127.0.0.1/x"}, "url"),
            ({"url": 5}, "url"),
            ({"url": "http://127.0.0.1/x" + "x" * 2000}, "url"),
            ({}, "url"),
            ({"url": f"{SITE}/x", "downloadPath": "../x"}, "downloadPath"),
            ({"url": f"{SITE}/x", "quality": "audio", "format": "mp4"}, "format"),
            ({"url": f"{SITE}/x", "colour": "red"}, "colour"),
            (None, "body"),
            ([{"url": f"{SITE}/x"}], "body"),
            ("http://127.0.0.1/x", "body"),
        ],
    )
    def test_a_bad_one_names_its_field_and_keeps_back_no_other(
        self, ann: Person, item: Any, field: str
    ) -> None:
        before, bad, after = submit(ann, {"url": f"{SITE}/1"}, item, {"url": f"{SITE}/2"})

        assert results([before, bad, after]) == ["created", "refused", "created"]
        assert bad["download"] is None
        assert bad["error"]["code"] == "VALIDATION_ERROR"
        assert list(bad["error"]["details"]) == [field]
        assert bad["error"]["message"]
        assert urls_of(ann) == [f"{SITE}/1", f"{SITE}/2"]

    @pytest.mark.parametrize(
        "body",
        [
            {}, {"items": []}, {"items": None}, {"items": "x"}, {"items": {"url": f"{SITE}/1"}},
            {"items": [{"url": f"{SITE}/{n}"} for n in range(201)]}, {"items": [{"url": SITE}], "more": 1},
        ],
    )  # fmt: skip
    def test_the_whole_must_be_a_list_of_up_to_200(self, ann: Person, body: Any) -> None:
        refused(ann.post("/youtube/downloads", json=body), 400, "VALIDATION_ERROR")

        assert urls_of(ann) == []

    def test_a_guest_may_not(self, door: Door) -> None:
        answer = door.person("guest").post("/youtube/downloads", json={"items": [{"url": f"{SITE}/1"}]})

        refused(answer, 403, "FORBIDDEN")


def test_many_are_fast_and_few_bells_are_rung_for_them(runtime: Runtime, rung: list[Job]) -> None:
    ann = Door(runtime).person()
    items = [{"url": f"{SITE}/{number}"} for number in range(199)]

    began = time.monotonic()
    outcomes = submit(ann, *items, {"url": "nothing"})
    took = time.monotonic() - began

    assert results(outcomes) == ["created"] * 199 + ["refused"]
    assert rung == [Job.DOWNLOAD] * 20
    rung.clear()
    assert set(results(submit(ann, *items))) == {"existing"}
    assert rung == []
    assert took < 2, "seconds; far less on a quiet machine"


def test_a_redis_that_is_away_is_waited_for_once(settings: Settings, runtime: Runtime) -> None:
    tries = []

    def broken(job: Job) -> None:
        tries.append(job)
        raise ConnectionError

    away = Runtime(settings, runtime.redis, broken)
    try:
        outcomes = submit(Door(away).person(), *({"url": f"{SITE}/{number}"} for number in range(50)))
    finally:
        away.database.close()

    assert set(results(outcomes)) == {"created"}
    assert len(tries) == 1


class TestLimits:
    @pytest.fixture
    def limited(self, settings: Settings) -> Iterator[Door]:
        with opened(settings, rate_limit_enabled=True, rate_limit_downloads=(Rate(3, 3600),)) as door:
            yield door

    def test_all_of_a_call_are_one_submission(self, limited: Door) -> None:
        ann = limited.person()
        many = [{"url": f"{SITE}/{number}"} for number in range(100)]

        assert set(results(submit(ann, *many))) == {"created"}
        assert set(results(submit(ann, *many))) == {"existing"}  # which adds nothing, and counts for nothing
        assert results(submit(ann, {"url": f"{SITE}/a"}, {"url": "nothing"})) == ["created", "refused"]
        assert results(submit(ann, {"url": f"{SITE}/b"})) == ["created"]

        refused(ann.post("/youtube/download", json={"url": f"{SITE}/c"}), 429, "RATE_LIMIT_EXCEEDED")

    def test_beyond_the_limit_new_ones_are_refused_and_others_answered(self, limited: Door) -> None:
        ann = limited.person()
        for number in range(3):
            submit(ann, {"url": f"{SITE}/{number}"})

        outcomes = submit(
            ann, {"url": f"{SITE}/3"}, {"url": f"{SITE}/1"}, {"url": "nothing"}, {"url": f"{SITE}/4"}
        )

        assert results(outcomes) == ["refused", "existing", "refused", "refused"]
        assert [outcomes[place]["error"]["code"] for place in (0, 3)] == ["RATE_LIMIT_EXCEEDED"] * 2
        assert urls_of(ann) == [f"{SITE}/{number}" for number in range(3)]


def test_two_that_name_the_same_in_another_order_do_not_wait_for_each_other(runtime: Runtime) -> None:
    door = Door(runtime)
    ann = door.person()
    items = [{"url": f"{SITE}/{number}"} for number in range(60)]
    found: list[list[str]] = []

    def ask(wanted: list[dict[str, str]]) -> None:
        mine = Person(door.stranger(), ann.id, ann.email, ann.token, ann.signed_in)
        found.append(results(submit(mine, *wanted)))

    threads = [threading.Thread(target=ask, args=[order]) for order in (items, items[::-1]) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(itertools.chain(*found)) == ["created"] * 60 + ["existing"] * 180
    with runtime.reading() as db:
        assert db.scalar(select(func.count()).select_from(Download)) == 60


def test_an_account_that_was_closed_this_moment_gets_nothing(runtime: Runtime) -> None:
    """Disabled behind the check of the token, by a transaction that this one waits for."""
    door = Door(runtime)
    ann = door.person()
    answers = []
    with runtime.unit_of_work() as db:
        db.execute(select(User.id).where(User.id == ann.id).with_for_update())
        db.execute(
            update(User).where(User.id == ann.id).values(disabled_at=func.now(), disabled_reason="admin")
        )
        asking = threading.Thread(
            target=lambda: answers.append(
                ann.post("/youtube/downloads", json={"items": [{"url": f"{SITE}/1"}] * 2})
            )
        )
        asking.start()
        eventually(lambda: somebody_waits(runtime))
    asking.join()

    refused(answers[0], 401, "UNAUTHORIZED")
    with runtime.reading() as db:
        assert db.scalar(select(func.count()).select_from(Download)) == 0


def somebody_waits(runtime: Runtime) -> bool:
    """Whether a transaction waits for a lock; asked in another one, since each sees the same activity until its end."""
    waiting = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with runtime.reading() as db:
        return bool(db.execute(text(f"SELECT count(*) {waiting}")).scalar_one())
