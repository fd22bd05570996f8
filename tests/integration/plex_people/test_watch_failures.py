"""Asking what people watched: one person, or one library, of which nothing can be learned costs itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from catalogues import connected, synced, watch_states_refreshed
from door import Door, Person, data_of

from config.settings import Settings
from engine.plex.server.user_tokens import secret_name
from engine.plex.watching.refresh import refresh
from engine.secrets import secret_box
from tests.fakes.plex_server import PlexDouble
from tests.fakes.plextv import FakeAccount, FakePlexTv


class Friends:
    """A server that is shared with some, and a door."""

    def __init__(self, door: Door, plex: PlexDouble, tv: FakePlexTv) -> None:
        self.door, self.plex, self.tv = door, plex, tv

    def one(self, name: str, title: str, count: int) -> Person:
        """Somebody who has watched a title, and then looks here."""
        account = self.plex.library.add_account(name)
        server = {
            "clientIdentifier": self.plex.machine_id,
            "provides": "server",
            "accessToken": account.token,
        }
        known = FakeAccount(name, listed=[None, server])
        self.tv.accounts.append(known)
        person = self.door.person("user")
        with self.door.runtime.unit_of_work() as db:
            secret_box.put(db, self.door.runtime.settings, secret_name(person.id), known.token)
        self.plex.library.watch(self.plex.library.titled(title), account, count=count)
        assert not self.watched(person), "and so is put on the list"
        return person

    def watched(self, person: Person) -> set[str]:
        items = [
            *data_of(person.get("/media"))["items"],
            *data_of(person.get("/media?type=episode"))["items"],
        ]
        return {item["title"] for item in items if item["watched"]}


@pytest.fixture
def friends(settings: Settings, plextv: FakePlexTv) -> Iterator[Friends]:
    with PlexDouble() as plex, connected(settings, plex, plex_tv_url=plextv.url) as door:
        plex.library.add_film(plex.library.add_section("movie", "Films"), "Heat")
        show = plex.library.add_show(plex.library.add_section("show", "Shows"), "Chernobyl")
        plex.library.add_episode(show, 1, 1, "1:23:45")
        synced(door.runtime)
        yield Friends(door, plex, plextv)


def test_a_person_of_whom_plex_tells_nonsense_costs_no_other(friends: Friends) -> None:
    names = ["ann", "ben", "cem"]
    people = [friends.one(name, "Heat", 2**64 - 1 if name == "ben" else 1) for name in names]
    watch_states_refreshed(friends.door.runtime)
    assert [friends.watched(people[0]), friends.watched(people[2])] == [{"Heat"}, {"Heat"}]


def test_a_library_that_fails_costs_no_other_and_is_asked_again_for_all_of_it(friends: Friends) -> None:
    ann = friends.one("ann", "1:23:45", 1)
    account = next(one for one in friends.plex.library.accounts.values() if one.name == "ann")
    friends.plex.library.watch(friends.plex.library.titled("Heat"), account, count=1, at=1_500_000_000)
    friends.plex.faults.add("status", path="/library/sections/1/all", code=500)
    watch_states_refreshed(friends.door.runtime)
    assert "1:23:45" in friends.watched(ann)

    friends.plex.faults.clear()
    assert refresh(friends.door.runtime, ann.id, lambda: None) == 1
    assert "Heat" in friends.watched(ann)
