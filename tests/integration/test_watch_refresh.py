"""What people watched in Plex: asked in their own name once they have looked, without keeping them waiting."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from catalogues import connected, synced
from door import Door, Person, data_of
from sqlalchemy import select, update

from config.settings import Settings
from engine.clients.plex.errors import PlexUnauthorized
from engine.job_names import Job
from engine.plex.server.user_tokens import secret_name
from engine.plex.watching import progress
from engine.plex.watching import refresh as watch_refresh
from engine.secrets import secret_box
from models.media import MediaItem, WatchLook
from tests.fakes.plex_server import PlexDouble
from tests.fakes.plextv import FakeAccount, FakePlexTv


@dataclass
class World:
    """A server, plex.tv, and a door between them."""

    plex: PlexDouble
    tv: FakePlexTv
    door: Door
    rung: list[Job]

    def friend(self, name: str) -> Person:
        """Somebody with whom the server is shared, who has signed in here with Plex."""
        known = self.plex.library.add_account(name)
        ours = {"clientIdentifier": self.plex.machine_id, "provides": "server", "accessToken": known.token}
        account = FakeAccount(name, listed=[ours])
        self.tv.accounts.append(account)
        person = self.door.person("user")
        with self.door.runtime.unit_of_work() as db:
            secret_box.put(db, self.door.runtime.settings, secret_name(person.id), account.token)
        return person

    def watch(self, title: str, name: str, **how: Any) -> None:
        account = next(one for one in self.plex.library.accounts.values() if one.name == name)
        item = self.plex.library.titled(title)
        self.plex.library.watch(item, account, **how)


@pytest.fixture
def world(settings: Settings, rung: list[Job]) -> Iterator[World]:
    tv = FakePlexTv()
    tv.start()
    with PlexDouble() as plex, connected(settings, plex, plex_tv_url=tv.url) as door:
        films = plex.library.add_section("movie", "Films")
        for title in ("Heat", "Alien", "Solaris"):
            plex.library.add_film(films, title)
        show = plex.library.add_show(plex.library.add_section("show", "Shows"), "Chernobyl")
        plex.library.add_episode(show, 1, 1, "1:23:45")
        synced(door.runtime)
        door.runtime._ring = rung.append
        yield World(plex, tv, door, rung)
    tv.stop()


def states(person: Person) -> dict[str, tuple[bool, int, int | None]]:
    items = [
        *data_of(person.get("/media"))["items"],
        *data_of(person.get("/media?type=episode"))["items"],
    ]
    return {one["title"]: (one["watched"], one["viewCount"], one["viewOffset"]) for one in items}


def test_what_somebody_watched_in_plex_is_seen_after_he_looked(world: World) -> None:
    ann, ben = world.friend("ann"), world.friend("ben")
    world.watch("Heat", "ann", count=2)
    world.watch("Alien", "ann", offset=60_000)
    world.watch("1:23:45", "ann", count=1)
    world.watch("Solaris", "ben", count=1)

    assert set(states(ann).values()) == {(False, 0, None)}
    assert world.rung == [Job.WATCHED], "once, however often she looks"
    watch_refresh.refresh_wanted(world.door.runtime)

    hers = states(ann)
    assert (hers["Heat"], hers["Alien"], hers["1:23:45"]) == (
        (True, 2, None),
        (False, 0, 60_000),
        (True, 1, None),
    )
    assert hers["Chernobyl"] == (True, 1, None)
    assert hers["Solaris"] == (False, 0, None)
    assert set(states(ben).values()) == {(False, 0, None)}, "he has not been asked about yet"


def test_the_next_time_only_what_is_new_is_written(world: World) -> None:
    ann = world.friend("ann")
    world.watch("Heat", "ann", count=1)
    assert watch_refresh.refresh(world.door.runtime, ann.id) == 1
    assert watch_refresh.refresh(world.door.runtime, ann.id) == 0
    world.watch("Heat", "ann", count=2, at=int(time.time()) + 5)
    assert watch_refresh.refresh(world.door.runtime, ann.id) == 1


def test_what_was_watched_before_the_first_look_is_found_whatever_was_told_since(world: World) -> None:
    ann = world.friend("ann")
    world.watch("Heat", "ann", count=1, at=1_500_000_000)
    with world.door.runtime.unit_of_work() as db:
        alien = db.scalars(select(MediaItem.id).where(MediaItem.title == "Alien")).one()
        progress.viewed(db, ann.id, alien, datetime.now(UTC))

    watch_refresh.refresh(world.door.runtime, ann.id)

    assert (states(ann)["Heat"], states(ann)["Alien"]) == ((True, 1, None), (False, 0, None))


def test_what_was_marked_as_not_watched_is_seen_the_next_day(world: World) -> None:
    ann, ben = world.friend("ann"), world.friend("ben")
    for name in ("ann", "ben"):
        world.watch("Heat", name, count=1)
        world.watch("1:23:45", name, count=1)
    for person in (ann, ben):
        watch_refresh.refresh(world.door.runtime, person.id)
    world.plex.library.titled("Heat").watched.clear()

    assert watch_refresh.refresh(world.door.runtime, ann.id) == 0, "it is not asked for all each time"
    with world.door.runtime.unit_of_work() as db:
        db.execute(update(WatchLook).values(whole_at=WatchLook.whole_at - timedelta(days=1)))
    assert watch_refresh.refresh(world.door.runtime, ann.id) == 1

    assert (states(ann)["Heat"], states(ann)["1:23:45"]) == ((False, 0, None), (True, 1, None))
    assert states(ben)["Heat"] == (True, 1, None)


def test_whoever_could_not_be_asked_about_is_asked_about_soon(world: World) -> None:
    person = world.door.person("user")
    states(person)
    watch_refresh.refresh_wanted(world.door.runtime)
    left = world.door.runtime.redis.ttl(f"medianest:cache:watched:asked:{person.id}")
    assert 0 < left <= watch_refresh.AGAIN_SECONDS


def test_a_film_begun_was_viewed_when_we_heard_of_it(world: World) -> None:
    ann, at = world.friend("ann"), datetime.now(UTC).replace(microsecond=0)
    with world.door.runtime.unit_of_work() as db:
        heat = db.scalars(select(MediaItem.id).where(MediaItem.title == "Heat")).one()
        progress.reached(db, ann.id, heat, 60_000, 6_000_000, at)

    first = data_of(ann.get("/media?sort=lastViewedAt:desc"))["items"][0]

    assert (first["title"], first["viewOffset"]) == ("Heat", 60_000)
    assert datetime.fromisoformat(first["lastViewedAt"]) == at


def test_whoever_has_no_plex_account_asks_nobody(world: World) -> None:
    person = world.door.person("user")
    world.plex.forget()

    assert watch_refresh.refresh(world.door.runtime, person.id) is None
    assert world.plex.requests == []
    assert world.tv.seen == []


def test_outages_do_no_harm(world: World) -> None:
    ann = world.friend("ann")
    world.tv.fail("503")
    states(ann)
    watch_refresh.refresh_wanted(world.door.runtime)
    world.tv.fail(None)
    world.plex.stop()
    world.door.runtime.redis.flushall()
    states(ann)
    watch_refresh.refresh_wanted(world.door.runtime)

    assert set(states(ann).values()) == {(False, 0, None)}


def test_a_server_that_refuses_everything_was_not_asked(world: World) -> None:
    ann = world.friend("ann")
    world.watch("Heat", "ann", count=1)
    known = next(one for one in world.plex.library.accounts.values() if one.name == "ann")
    good, known.token = known.token, "another"
    with pytest.raises(PlexUnauthorized):
        watch_refresh.refresh(world.door.runtime, ann.id)
    known.token = good

    watch_refresh.refresh(world.door.runtime, ann.id)

    assert states(ann)["Heat"] == (True, 1, None)


def test_his_token_goes_to_plex_tv_and_the_access_token_to_the_server(world: World) -> None:
    ann = world.friend("ann")
    world.plex.forget()
    watch_refresh.refresh(world.door.runtime, ann.id)

    account = world.tv.accounts[0]
    sent = {seen.headers.get("x-plex-token") for seen in world.tv.seen}
    assert sent == {account.token}
    assert {seen.account for seen in world.plex.requests} == {"ann"}
