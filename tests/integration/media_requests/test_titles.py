"""Films and series of TMDB: found, kept, and answered from what is kept while TMDB is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from door import Door, Person, data_of, opened, refused
from sqlalchemy import text

from config.settings import Settings
from engine.titles import keeping, lists, source, titles
from tests.fakes.tmdb_server import FAULTS, TmdbDouble


@pytest.fixture
def tmdb() -> Iterator[TmdbDouble]:
    with TmdbDouble() as double:
        double.film(
            "Heat", 1995, id=949, translations={"de": "Heat – Die Jagd"}, alternative=["Fuego contra fuego"]
        )
        double.film("Amélie", 2001, id=194)
        double.series("Dark", 2017, id=70523, seasons={0: 2, 1: 10, 2: 8}, tvdb_id=334824)
        yield double


@pytest.fixture
def there(settings: Settings, tmdb: TmdbDouble) -> Iterator[Door]:
    source._pauses.clear()
    with opened(settings, tmdb_url=tmdb.url, tmdb_token=tmdb.token) as door:
        yield door


@pytest.fixture
def ann(there: Door) -> Person:
    return there.person("guest")


def titles_of(data: dict[str, Any]) -> list[str]:
    return [row["title"] for row in data["results"]]


def test_a_search_finds_films_and_series_in_any_language(ann: Person) -> None:
    found = data_of(ann.get("/media/search?query=heat"))

    (row,) = found["results"]
    assert row == {
        "id": "949",
        "title": "Heat",
        "originalTitle": "Heat",
        "type": "movie",
        "year": 1995,
        "poster": "https://image.tmdb.org/t/p/w342/poster949.jpg",
        "overview": "About Heat.",
        "rating": 7.9,
        "availability": {
            "plex": False, "requested": False, "status": "none", "itemId": None, "requestId": None, "seasons": [],
        },
    }  # fmt: skip
    assert found["pagination"] == {
        "page": 1, "totalPages": 1, "totalItems": 1, "totalResults": 1, "itemsPerPage": 20, "hasNext": False,
        "hasPrev": False,
    }  # fmt: skip
    assert not found["stale"]
    assert titles_of(data_of(ann.get("/media/search?query=AMÉLIE&type=movie"))) == ["Amélie"]
    assert titles_of(data_of(ann.get("/media/search?query=dark&type=tv&year=2017"))) == ["Dark"]
    assert titles_of(data_of(ann.get("/media/search?query=dark&type=tv&year=1999"))) == []
    assert titles_of(data_of(ann.get("/media/search?query=dark&year=2017"))) == ["Dark"]


def test_pages_of_any_length_are_cut_out_of_pages_of_twenty(ann: Person, tmdb: TmdbDouble) -> None:
    tmdb.people = 25  # who are no titles, and stand in front
    for number in range(50):
        tmdb.film(f"Sequel {number:02}")

    found = [data_of(ann.get(f"/media/search?query=sequel&page={page}&limit=7")) for page in range(1, 9)]

    assert [title for page in found for title in titles_of(page)] == [f"Sequel {n:02}" for n in range(50)]
    assert found[0]["pagination"]["totalResults"] == 50
    behind = data_of(ann.get("/media/search?query=sequel&page=600"))
    assert (titles_of(behind), behind["pagination"]["totalResults"] > 0) == ([], True)
    assert len([path for path, _ in tmdb.asked if path == "/search/multi"]) == 4


def test_a_name_that_many_people_have_costs_few_questions(ann: Person, tmdb: TmdbDouble) -> None:
    tmdb.people = 2_000
    tmdb.film("Sequel")

    assert titles_of(data_of(ann.get("/media/search?query=sequel"))) == []
    assert len([path for path, _ in tmdb.asked if path == "/search/multi"]) == 6


def test_both_types_with_a_year_come_in_turns(ann: Person, tmdb: TmdbDouble) -> None:
    for number in range(3):
        tmdb.film(f"Moon {number}", 2010)
    tmdb.series("Moon again", 2010)

    pages = [data_of(ann.get(f"/media/search?query=moon&year=2010&limit=2&page={page}")) for page in (1, 2)]

    assert [titles_of(page) for page in pages] == [["Moon 0", "Moon again"], ["Moon 1", "Moon 2"]]
    assert pages[0]["pagination"]["totalResults"] == 4


@pytest.mark.parametrize(
    "query",
    [
        "",
        "query=",
        "query=%20",
        "query=x&type=person",
        "query=x&year=12",
        "query=x&page=0",
        "query=x&limit=101",
        "query=x&sort=a",
    ],
)
def test_what_is_not_accepted_is_said(ann: Person, query: str) -> None:
    refused(ann.get(f"/media/search?{query}"), 400, "VALIDATION_ERROR")


def test_details_tell_everything(ann: Person, tmdb: TmdbDouble) -> None:
    found = data_of(ann.get("/media/tv/70523"))

    assert found["ids"] == {"tmdb": "70523", "imdb": None, "tvdb": "334824"}
    assert [(one["number"], one["episodes"], one["aired"]) for one in found["seasons"]] == [
        (0, 2, 2),
        (1, 10, 10),
        (2, 8, 8),
    ]
    assert found["cast"] == [
        {
            "name": "Al Pacino",
            "role": "Vincent Hanna",
            "job": None,
            "photo": "https://image.tmdb.org/t/p/w185/al.jpg",
        }
    ]
    assert found["contentRating"] == "TV-MA"
    assert found["genres"] == ["Drama"]
    film = data_of(ann.get("/media/movie/949"))
    assert (film["runtime"], film["crew"][0]["name"]) == (170, "Michael Mann")
    assert film["trailers"][0]["url"] == "https://www.youtube.com/watch?v=2GfZl4kuVNI"
    refused(ann.get("/media/movie/1"), 404, "NOT_FOUND")
    refused(ann.get("/media/movie/abc"), 404, "NOT_FOUND")
    refused(ann.get("/media/person/1"), 404, "NOT_FOUND")


def test_fresh_answers_are_not_asked_for_again(ann: Person, tmdb: TmdbDouble) -> None:
    for _ in range(3):
        ann.get("/media/search?query=heat")
        ann.get("/media/movie/949")
        ann.get("/media/trending")

    assert len(tmdb.asked) == 3


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "hang"])
def test_what_was_seen_before_answers_while_tmdb_is_away(
    there: Door, ann: Person, tmdb: TmdbDouble, fault: str
) -> None:
    data_of(ann.get("/media/search?query=heat"))
    data_of(ann.get("/media/movie/949"))
    with there.runtime.unit_of_work() as db:  # a day later
        db.execute(text("UPDATE title_lists SET fetched_at = fetched_at - interval '2 days'"))
        db.execute(text("UPDATE titles SET detailed_at = detailed_at - interval '2 days'"))
    tmdb.fault = fault

    found = data_of(ann.get("/media/search?query=heat"))
    assert titles_of(found) == ["Heat"]
    assert found["stale"]
    assert found["fetchedAt"].endswith("Z")
    assert data_of(ann.get("/media/movie/949"))["stale"]
    # Never searched for, but known: by a title in another language, without its accents.
    assert titles_of(data_of(ann.get("/media/search?query=fuego"))) == ["Heat"]
    error = refused(ann.get("/media/search?query=unknown"), 502, "UPSTREAM_ERROR")
    assert tmdb.token not in str(error)
    refused(ann.get("/media/tv/70523"), 502, "UPSTREAM_ERROR")
    tmdb.fault = None


def test_a_slow_tmdb_keeps_nobody(ann: Person, tmdb: TmdbDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "SECONDS", 0.5)
    monkeypatch.setattr(source.ask, "__kwdefaults__", {"seconds": 0.5})
    tmdb.fault = "hang"

    refused(ann.get("/media/search?query=heat"), 502, "UPSTREAM_ERROR")


def test_too_many_requests_are_a_pause_for_all(there: Door, ann: Person, tmdb: TmdbDouble) -> None:
    tmdb.fault = "429"
    answer = ann.get("/media/search?query=heat")
    refused(answer, 502, "UPSTREAM_ERROR")
    assert answer.headers["Retry-After"] == "7"
    tmdb.fault = None

    refused(ann.get("/media/search?query=dark"), 502, "UPSTREAM_ERROR")
    assert len(tmdb.asked) == 1, "nothing was asked during the pause"
    source._pauses.clear()  # another process, which knows of it by Redis
    refused(ann.get("/media/search?query=dark"), 502, "UPSTREAM_ERROR")
    assert len(tmdb.asked) == 1


def test_without_a_token_the_setting_is_named(settings: Settings) -> None:
    with opened(settings) as door:
        error = refused(door.person().get("/media/search?query=heat"), 503, "SERVICE_UNAVAILABLE")
        assert "TMDB_TOKEN" in error["message"]
        assert error["details"] == {"setting": "TMDB_TOKEN"}
        refused(door.person().get("/media/movie/949"), 503, "SERVICE_UNAVAILABLE")


def test_an_api_key_is_as_good_as_a_token(settings: Settings, tmdb: TmdbDouble) -> None:
    with opened(settings, tmdb_url=tmdb.url, tmdb_token=tmdb.key) as door:
        assert titles_of(data_of(door.person().get("/media/search?query=heat"))) == ["Heat"]


def test_all_together_keep_to_the_budget(settings: Settings, tmdb: TmdbDouble) -> None:
    with opened(settings, tmdb_url=tmdb.url, tmdb_token=tmdb.token, tmdb_requests_per_second=3) as door:
        began = threading.Event()
        times: list[float] = []

        def one(number: int) -> None:
            began.wait()
            lists.search(
                door.runtime, f"nothing {number}", "movie", year=None, page=1, limit=20, language="en"
            )

        with ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(one, number) for number in range(7)]
            start = time.monotonic()
            began.set()
            for job in jobs:
                job.result()
            times.append(time.monotonic() - start)
    assert len(tmdb.asked) == 7
    assert times[0] > 2.0, "seven requests at three a second take more than two seconds"


def test_who_asks_the_same_at_once_asks_tmdb_once(there: Door, tmdb: TmdbDouble) -> None:
    tmdb.seconds = 0.3
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: titles.look_up(there.runtime, "movie", "949").title, range(6)))
    assert found == ["Heat"] * 6
    assert len(tmdb.asked) == 1


def test_titles_come_in_the_language_of_the_account(there: Door, tmdb: TmdbDouble) -> None:
    ann = there.person()
    with there.runtime.unit_of_work() as db:
        db.execute(text("UPDATE users SET language = 'de' WHERE id = :id"), {"id": ann.id})

    assert titles_of(data_of(ann.get("/media/search?query=jagd"))) == ["Heat – Die Jagd"]
    assert data_of(ann.get("/media/movie/949"))["title"] == "Heat – Die Jagd"
    assert tmdb.languages == ["de"]


def test_hostile_answers_harm_nobody(ann: Person, tmdb: TmdbDouble) -> None:
    tmdb.film(
        "<script>alert(1)</script>\0",
        extra={
            "poster_path": "/../../etc/passwd",
            "vote_average": 1e400,
            "genre_ids": ["x", None],
            "overview": 5,
        },
    )
    tmdb.film("script nobody", extra={"id": "12", "title": None, "original_title": 7})
    tmdb.film("script of none", extra={"title": "", "original_title": ""})

    (row,) = data_of(ann.get("/media/search?query=script"))["results"]
    assert row["title"] == "<script>alert(1)</script>"
    assert (row["poster"], row["rating"], row["overview"]) == (None, None, None)


def test_what_is_older_than_the_terms_allow_is_dropped(there: Door, ann: Person) -> None:
    data_of(ann.get("/media/search?query=heat"))
    with there.runtime.unit_of_work() as db:
        db.execute(text("UPDATE titles SET listed_at = listed_at - interval '181 days'"))
        db.execute(text("UPDATE title_lists SET fetched_at = fetched_at - interval '181 days'"))
    with there.runtime.unit_of_work() as db:
        keeping.forget_old(db, timedelta(days=180))
        assert db.scalar(text("SELECT count(*) FROM titles")) == 0
        assert db.scalar(text("SELECT count(*) FROM title_lists")) == 0
