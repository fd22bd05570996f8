"""Previews: a share for each user, an end for what nobody awaits, and never a place of the downloads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from door import Door, Person, data_of, opened, refused
from factories import make_user
from sqlalchemy import func, select, update
from stack import eventually

from engine.downloads.previews import previews
from engine.downloads.previews.previews import TooManyPreviews
from engine.downloads.previews.work import PREVIEW
from engine.jobs import lease
from engine.jobs.owner import this_process
from engine.jobs.reconcile import due
from engine.runtime import Runtime
from models.download import Preview
from models.user import User

URL = "http://127.0.0.1/{}.mp4"


def ask(runtime: Runtime, user: User, name: str) -> str:
    with runtime.unit_of_work() as db:
        return previews.request(db, runtime.settings, user_id=user.id, url=URL.format(name)).id


def users(runtime: Runtime, number: int) -> list[User]:
    with runtime.unit_of_work() as db:
        return [make_user(db) for _ in range(number)]


def claim(runtime: Runtime) -> str | None:
    with runtime.unit_of_work() as db:
        claimed = lease.claim(db, PREVIEW, runtime.settings, this_process())
    return None if claimed is None else claimed.row.user_id


def test_a_user_has_two_under_way(runtime: Runtime) -> None:
    ann, bob = users(runtime, 2)
    first = ask(runtime, ann, "a")
    ask(runtime, ann, "b")
    with pytest.raises(TooManyPreviews):
        ask(runtime, ann, "c")
    assert ask(runtime, ann, "a") == first, "to join one is none"
    assert ask(runtime, bob, "c")
    with runtime.unit_of_work() as db:
        db.execute(update(Preview).where(Preview.id == first).values(ended_at=func.clock_timestamp()))
    assert ask(runtime, ann, "d")


def test_many_requests_at_once_are_no_way_around_it(runtime: Runtime) -> None:
    (ann,) = users(runtime, 1)

    def try_it(number: int) -> bool:
        try:
            return bool(ask(runtime, ann, str(number)))
        except TooManyPreviews:
            return False

    with ThreadPoolExecutor(5) as pool:
        assert sum(pool.map(try_it, range(10))) == 2


def test_what_nobody_waits_for_is_not_worked_off(runtime: Runtime) -> None:
    (ann,) = users(runtime, 1)
    late = ask(runtime, ann, "a")
    with runtime.unit_of_work() as db:
        db.execute(update(Preview).values(created_at=func.clock_timestamp() - timedelta(seconds=31)))
        assert due(db, PREVIEW, runtime.settings, 10) == 0
    assert claim(runtime) is None
    with runtime.unit_of_work() as db:
        row = db.get_one(Preview, late)
    assert (row.status, row.attempt, row.error and row.error["kind"]) == ("failed", 0, "expired")
    assert row.ended_at is not None


def test_one_user_leaves_a_place_for_the_others(runtime: Runtime) -> None:
    ann, bob, cem = users(runtime, 3)
    for user, name in ((ann, "a"), (ann, "b"), (bob, "c"), (cem, "d")):
        ask(runtime, user, name)
    assert [claim(runtime) for _ in range(4)] == [ann.id, bob.id, None, None], "two places a worker"
    with runtime.unit_of_work() as db:
        ended = {"lease_until": None, "ended_at": func.clock_timestamp(), "status": "completed"}
        db.execute(update(Preview).where(Preview.user_id == bob.id).values(**ended))
    assert claim(runtime) == cem.id, "nobody has a second place while another has none"


@pytest.fixture
def door(runtime: Runtime) -> Iterator[Door]:
    with opened(runtime.settings, preview_seconds=3.0) as there:
        yield there


def waiting(runtime: Runtime) -> int:
    with runtime.reading() as db:
        return db.scalar(select(func.count()).select_from(Preview).where(Preview.ended_at.is_(None))) or 0


def test_a_third_is_told_when_to_come_again(runtime: Runtime, door: Door) -> None:
    ann = door.person()
    answers: list[Any] = []

    def look(name: str) -> None:
        answers.append(ann.get(f"/youtube/metadata?url={URL.format(name)}"))

    threads = [threading.Thread(target=look, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    eventually(lambda: waiting(runtime) == 2)
    for name in "ca":  # to join one holds a thread as well
        answer = ann.get(f"/youtube/metadata?url={URL.format(name)}")
        refused(answer, 429, "RATE_LIMIT_EXCEEDED")
        assert answer.headers["Retry-After"] == "5"
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [502, 502]


def test_an_answer_that_is_shared_tells_nobody_anothers_words(runtime: Runtime, door: Door) -> None:
    """Two spellings of one address: each is told its own."""
    ann, bob = door.person(), door.person()
    spellings = [URL.format("a"), "http://127.0.0.1:80/a.mp4"]
    found = {"source_id": "a", "extractor": "Generic", "title": "A", "webpage_url": None, "channel": None}
    found |= dict.fromkeys(("duration", "thumbnail", "live_status", "description", "upload_date"))

    def looked(person: Person, url: str) -> str:
        return str(data_of(person.get(f"/youtube/metadata?url={url}"))["url"])

    with runtime.unit_of_work() as db:
        row = previews.request(db, runtime.settings, user_id=ann.id, url=spellings[0])
        row.status, row.ended_at = "completed", func.clock_timestamp()
        row.result = {"metadata": found, "heights": [], "qualities": []}
    assert [looked(ann, spellings[0]), looked(bob, spellings[1])] == spellings
