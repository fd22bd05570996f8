"""The first page, without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from door import Door, Person
from factories import make_download
from pages_read import heading, item_id, page, titles
from sqlalchemy import func

from models.media import WatchState
from models.plex_arrival import PlexArrival
from models.user import User
from tests.fakes.plex_server import PlexDouble

now = func.clock_timestamp
FAILED = {"kind": "private", "message": "This video is private.", "advice": None, "retryable": False}


@pytest.fixture
def plex() -> Iterator[PlexDouble]:
    with PlexDouble() as double:
        films = double.library.add_section("movie", "Films", "/srv/media/films")
        shows = double.library.add_section("show", "TV Shows", "/srv/media/tv")
        show = double.library.add_show(shows, "Chernobyl", 2019, added_at=1_600_000_000)
        for season in (1, 2):
            double.library.add_episode(show, season, 1, f"Hour {season}", added_at=1_600_000_000 + season)
        double.library.add_film(films, "Heat", 1995, added_at=1_700_000_000)
        double.library.add_film(films, "Alien", 1979, added_at=1_500_000_000)
        yield double


def asked(door: Door, person: Person, **values: Any) -> str:
    with door.runtime.unit_of_work() as db:
        return make_download(db, db.get_one(User, person.id), **values).id


def test_what_moves(own_door: Door) -> None:
    ann, bob = own_door.person(), own_door.person()
    running = {"status": "downloading", "lease_until": now() + timedelta(hours=1)}
    asked(own_door, ann, title="It waits")
    later = asked(own_door, ann, title="Later", progress=10.0, eta=900.0, **running)
    sooner = asked(own_door, ann, title="Sooner", progress=62.0, eta=180.0, **running)
    asked(own_door, bob, title="Of somebody else")

    html = page(ann, "/")

    assert heading(html) == "Three of yours are on the way"
    assert "The next should be here in about 3 min." in html
    assert html.index("Sooner") < html.index("Later") < html.index("It waits")
    assert f'data-download="{sooner}" data-status="downloading"' in html
    assert f"downloads/{later}" in html
    assert "Of somebody else" not in html


def test_six_are_shown_and_the_others_counted(own_door: Door) -> None:
    ann = own_door.person()
    for number in range(14):
        asked(own_door, ann, title=f"Part {number}")

    html = page(ann, "/")

    assert heading(html) == "14 of yours are on the way"
    assert html.count('data-status="queued"') == 6
    assert "All 14" in html


def test_nothing_moves(own_door: Door) -> None:
    assert heading(page(own_door.person(), "/")) == "Nothing is on its way"
    guest = page(own_door.person("guest"), "/")
    assert heading(guest) == "There is nothing to watch yet"
    assert "Download a link" not in guest


def test_what_is_new_in_the_library(synced_door: Door, guest: Person) -> None:
    html = page(guest, "/")

    assert heading(html) == "Heat is new"
    assert titles(html) == ["Heat", "Chernobyl", "Alien"]  # of a series only its newest
    assert "S2 E1 · Hour 2" in html


def test_what_of_mine_has_arrived(synced_door: Door) -> None:
    ann, bob = synced_door.person(), synced_door.person()
    found = item_id(synced_door, "Alien")
    done = asked(synced_door, ann, title="alien.mkv", status="completed", ended_at=now())
    with synced_door.runtime.unit_of_work() as db:
        known = {"server_id": "", "section_key": "", "path": "", "deadline": now(), "ended_at": now()}
        db.add(
            PlexArrival(
                id="arr-1", download_id=done, status="completed", item_id=found, rating_key="1", **known
            )
        )

    assert "In your library since" in page(ann, "/")
    assert f'href="item/{found}">More about it' in page(ann, "/").replace("\n", "")
    assert "In your library since" not in page(bob, "/")


def test_what_one_is_in_the_middle_of(synced_door: Door) -> None:
    ann, bob = synced_door.person(), synced_door.person()
    with synced_door.runtime.unit_of_work() as db:
        for hours, title in enumerate(("Heat", "Hour 1")):
            place = {"view_count": 0, "view_offset": 60_000 * (1 + hours), "updated_at": now()}
            at = now() - timedelta(hours=hours)
            db.add(
                WatchState(user_id=ann.id, item_id=item_id(synced_door, title), last_viewed_at=at, **place)
            )

    begun = page(ann, "/").partition("Go on watching")[2].partition("Recently added")[0]

    assert titles(begun) == ["Heat", "Chernobyl"]
    assert "Go on watching" not in page(bob, "/")


def test_what_needs_an_admin(own_door: Door) -> None:
    ann, admin = own_door.person(), own_door.person("admin")
    asked(own_door, ann, status="failed", ended_at=now(), error=FAILED)
    asked(own_door, ann, status="failed", ended_at=now(), error=FAILED | {"retryable": True})
    asked(own_door, ann, status="failed", ended_at=now() - timedelta(days=3), error=FAILED)

    html = page(admin, "/")

    assert "2 downloads failed" in html
    assert "1 of them can be tried again" in html
    assert "Workers: Offline" in html
    assert "What needs you" not in page(ann, "/")
