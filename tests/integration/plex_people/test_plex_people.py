"""A person of Plex is known by their id, whatever they are called; and only titles count as watched."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from door import Door, Person, data_of
from sqlalchemy import func, select, update

from engine.plex.watching.statistics import statistics
from models.notification import Notification
from models.user import User
from tests.integration.plex_people.test_plex_activity import (
    HOUR,
    SERVER,
    activities,
    door,
    film,
    happened,
    linked,
    said,
    state,
)

__all__ = ["door"]


def known(door: Door, person: Person, server: str | None, owner: bool | None) -> None:
    """What plex.tv said of somebody when they signed in."""
    with door.runtime.unit_of_work() as db:
        mine = update(User).where(User.id == person.id)
        db.execute(mine.values(plex_server_id=server, plex_owner=owner))


class TestOwner:
    def test_by_any_name(self, door: Door) -> None:
        boss = linked(door, "710", "boss77")
        known(door, boss, SERVER, owner=True)
        film(door)
        happened(door, said("scrobble", account=1, name="The Boss"), ago=HOUR)
        happened(door, said("play", account=1, name="Renamed since"))
        assert [one.user_id for one in activities(door)] == [boss.id, boss.id]
        assert (found := state(door, boss)) is not None
        assert found.view_count == 1

    def test_a_friend_who_is_called_so_is_somebody_else(self, door: Door) -> None:
        friend = linked(door, "8", "The Boss")
        known(door, friend, SERVER, owner=False)
        happened(door, said("play", account=1, name="The Boss"))
        assert activities(door)[0].user_id is None

    def test_the_owner_of_another_server_is_not_this_ones(self, door: Door) -> None:
        other = linked(door, "9", "elsewhere")
        known(door, other, "another server", owner=True)
        happened(door, said("play", account=1, name="The Boss"))
        assert activities(door)[0].user_id is None

    def test_without_a_server_in_the_message(self, door: Door) -> None:
        boss = linked(door, "710", "boss77")
        known(door, boss, SERVER, owner=True)
        happened(door, {**said("play", account=1, name="The Boss"), "Server": {}})
        assert activities(door)[0].user_id == boss.id

    def test_who_has_two_names_is_one(self, door: Door) -> None:
        happened(door, said("play", account=5, name="ann"), ago=2 * HOUR)
        happened(door, said("play", account=5, name="Ann P"), ago=HOUR)
        happened(door, said("play", account=6, name="ann"), ago=HOUR)
        with door.runtime.reading() as db:
            found = statistics(db, days=2).by_user
        assert [(one["name"], one["plays"]) for one in found] == [("Ann P", 2), ("ann", 1)]

    def test_told_again_under_another_name(self, door: Door) -> None:
        happened(door, said("play", account=5, name="ann"), said("play", account=5, name="Ann P"))
        assert len(activities(door)) == 1

    def test_the_owners_of_two_servers_are_two(self, door: Door) -> None:
        other = {**said("play", account=1, name="b"), "Server": {"uuid": "another"}}
        happened(door, said("play", account=1, name="a"), other)
        assert len(activities(door)) == 2


AROUND: list[dict[str, Any]] = [
    {"type": "clip", "guid": "prerolls://x", "duration": 15_000, "title": "Our cinema"},
    {"type": "movie", "guid": "prerolls://x", "title": "Our cinema"},
    {"type": "clip", "subtype": "trailer", "extraType": 1, "title": "Trailer", "ratingKey": "77"},
    {"type": "movie", "subtype": "trailer", "title": "Trailer", "ratingKey": "77"},
    {"type": "movie", "extraType": 1, "title": "Making of", "ratingKey": "77"},
    {"type": "clip", "title": "A clip", "ratingKey": "77"},
    {"type": "photo", "title": "A photo", "ratingKey": "77"},
    {"type": "playlist", "title": "A list", "ratingKey": "77"},
]


def test_what_is_no_title_does_not_count(door: Door) -> None:
    linked(door, "7", "ann_p", role="admin")
    for event in ("media.play", "media.scrobble", "media.rate", "playback.started"):
        for item in AROUND:
            row = happened(door, {**said("play"), "event": event, "Metadata": item})
            assert row.status == "ignored", (event, item)
    assert activities(door) == []
    with door.runtime.reading() as db:
        assert db.scalar(select(func.count(Notification.id))) == 0


def test_the_most_played_is_a_film(door: Door) -> None:
    person = linked(door, "7", "ann_p")
    film(door)
    for number in range(3):
        before = timedelta(minutes=30 * number + 31)
        happened(door, {**said("play"), "Metadata": AROUND[0]}, ago=before)
    happened(door, said("play"))
    found = data_of(person.get("/plex/statistics"))
    assert [one["title"] for one in found["byTitle"]] == ["Heat (1995)"]


def test_home_videos_and_music_are_something(door: Door) -> None:
    items = [
        {"type": "movie", "subtype": "clip", "title": "Holiday"},
        {"type": "track", "title": "Song"},
        {"title": "?"},
    ]
    happened(door, *({**said("play"), "Metadata": item} for item in items))
    assert {one.title for one in activities(door)} == {"Holiday", "Song", "?"}
