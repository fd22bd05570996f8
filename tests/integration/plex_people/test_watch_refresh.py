"""What people watched in Plex: asked in their own name once they have looked, without keeping them waiting."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from catalogues import connected, synced, watch_states_refreshed
from door import Door, Person, data_of
from sqlalchemy import select, update

from config.settings import Settings
from engine.clients.plex.errors import PlexUnauthorized
from engine.job_names import Job
from engine.job_registry import KINDS
from engine.jobs import lease
from engine.jobs.owner import this_process
from engine.jobs.reconcile import reconcile, rescue
from engine.plex.server.user_tokens import secret_name
from engine.plex.watching import progress
from engine.plex.watching import work as watch_work
from engine.plex.watching.refresh import refresh
from engine.secrets import secret_box
from models.media import MediaItem, WatchLook
from models.watch_refresh import WatchRefresh
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
def world(settings: Settings, rung: list[Job], plextv: FakePlexTv) -> Iterator[World]:
    with PlexDouble() as plex, connected(settings, plex, plex_tv_url=plextv.url) as door:
        films = plex.library.add_section("movie", "Films")
        for title in ("Heat", "Alien", "Solaris"):
            plex.library.add_film(films, title)
        show = plex.library.add_show(plex.library.add_section("show", "Shows"), "Chernobyl")
        plex.library.add_episode(show, 1, 1, "1:23:45")
        synced(door.runtime)
        door.runtime._ring = rung.append
        yield World(plex, plextv, door, rung)


def states(person: Person) -> dict[str, tuple[bool, int, int | None]]:
    items = [
        *data_of(person.get("/media"))["items"],
        *data_of(person.get("/media?type=episode"))["items"],
    ]
    return {one["title"]: (one["watched"], one["viewCount"], one["viewOffset"]) for one in items}


def test_what_somebody_watched_in_plex_is_seen_after_they_looked(world: World) -> None:
    ann, ben = world.friend("ann"), world.friend("ben")
    world.watch("Heat", "ann", count=2)
    world.watch("Alien", "ann", offset=60_000)
    world.watch("1:23:45", "ann", count=1)
    world.watch("Solaris", "ben", count=1)

    assert set(states(ann).values()) == {(False, 0, None)}
    assert world.rung == [Job.WATCHED], "once, however often they look"
    watch_states_refreshed(world.door.runtime)

    hers = states(ann)
    assert (hers["Heat"], hers["Alien"], hers["1:23:45"]) == (
        (True, 2, None),
        (False, 0, 60_000),
        (True, 1, None),
    )
    assert hers["Chernobyl"] == (True, 1, None)
    assert hers["Solaris"] == (False, 0, None)
    assert set(states(ben).values()) == {(False, 0, None)}, "their watch states were not read yet"


def test_the_next_time_only_what_is_new_is_written(world: World) -> None:
    ann = world.friend("ann")
    world.watch("Heat", "ann", count=1)
    assert refresh(world.door.runtime, ann.id, lambda: None) == 1
    assert refresh(world.door.runtime, ann.id, lambda: None) == 0
    world.watch("Heat", "ann", count=2, at=int(time.time()) + 5)
    assert refresh(world.door.runtime, ann.id, lambda: None) == 1


def test_what_was_watched_before_the_first_look_is_found_whatever_was_told_since(world: World) -> None:
    ann = world.friend("ann")
    world.watch("Heat", "ann", count=1, at=1_500_000_000)
    with world.door.runtime.unit_of_work() as db:
        alien = db.scalars(select(MediaItem.id).where(MediaItem.title == "Alien")).one()
        progress.viewed(db, ann.id, alien, datetime.now(UTC))

    refresh(world.door.runtime, ann.id, lambda: None)

    assert (states(ann)["Heat"], states(ann)["Alien"]) == ((True, 1, None), (False, 0, None))


def test_what_was_marked_as_not_watched_is_seen_the_next_day(world: World) -> None:
    ann, ben = world.friend("ann"), world.friend("ben")
    for name in ("ann", "ben"):
        world.watch("Heat", name, count=1)
        world.watch("1:23:45", name, count=1)
    for person in (ann, ben):
        refresh(world.door.runtime, person.id, lambda: None)
    world.plex.library.titled("Heat").watched.clear()

    assert refresh(world.door.runtime, ann.id, lambda: None) == 0, "it is not asked for all each time"
    with world.door.runtime.unit_of_work() as db:
        db.execute(update(WatchLook).values(whole_at=WatchLook.whole_at - timedelta(days=1)))
    assert refresh(world.door.runtime, ann.id, lambda: None) == 1

    assert (states(ann)["Heat"], states(ann)["1:23:45"]) == ((False, 0, None), (True, 1, None))
    assert states(ben)["Heat"] == (True, 1, None)


def test_whoever_could_not_be_asked_about_is_asked_about_soon(world: World) -> None:
    person = world.door.person("user")
    states(person)
    watch_states_refreshed(world.door.runtime)
    left = world.door.runtime.redis.ttl(f"medianest:cache:watched:asked:{person.id}")
    assert 0 < left <= watch_work.AGAIN_SECONDS


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

    assert refresh(world.door.runtime, person.id, lambda: None) is None
    assert world.plex.requests == []
    assert world.tv.seen == []


def test_outages_do_no_harm(world: World) -> None:
    ann = world.friend("ann")
    world.tv.fail("503")
    states(ann)
    watch_states_refreshed(world.door.runtime)
    world.tv.fail(None)
    world.plex.stop()
    world.door.runtime.redis.flushall()
    states(ann)
    watch_states_refreshed(world.door.runtime)

    assert set(states(ann).values()) == {(False, 0, None)}


def test_whoever_was_not_asked_about_in_an_outage_is_asked_about_again(world: World) -> None:
    ann = world.friend("ann")
    world.watch("Heat", "ann", count=1)
    world.tv.fail("503")
    states(ann)
    watch_states_refreshed(world.door.runtime)
    world.tv.fail(None)
    with world.door.runtime.unit_of_work() as db:
        row = db.scalars(select(WatchRefresh)).one()
        assert (row.status, row.attempt, row.error and row.error["kind"]) == ("queued", 1, "unreachable")
        row.next_run_at = row.created_at  # the pause is over

    watch_states_refreshed(world.door.runtime)

    assert states(ann)["Heat"] == (True, 1, None)


def test_whoever_was_asked_about_by_a_worker_that_died_is_asked_about_by_the_next(world: World) -> None:
    ann, runtime = world.friend("ann"), world.door.runtime
    world.watch("Heat", "ann", count=1)
    states(ann)
    with runtime.unit_of_work() as db:
        dead = {**this_process(), "started": 0.0}
        assert lease.claim(db, watch_work.WATCH_REFRESH, runtime.settings, dead) is not None
    world.rung.clear()

    with runtime.unit_of_work() as db:
        rescue(db, watch_work.WATCH_REFRESH, runtime.settings)
        db.execute(
            update(WatchRefresh).values(next_run_at=WatchRefresh.created_at)
        )  # its pause of a second is over
    reconcile(runtime, KINDS, lambda queue: 0)

    assert world.rung == [Job.WATCHED]
    watch_states_refreshed(runtime)
    assert states(ann)["Heat"] == (True, 1, None)


def test_each_look_after_the_first_uses_the_same_row(world: World) -> None:
    ann, runtime = world.friend("ann"), world.door.runtime
    states(ann)
    watch_states_refreshed(runtime)
    world.watch("Heat", "ann", count=1)
    runtime.redis.flushall()  # five minutes later
    states(ann)
    watch_states_refreshed(runtime)

    assert states(ann)["Heat"] == (True, 1, None)
    with runtime.reading() as db:
        (row,) = db.scalars(select(WatchRefresh)).all()
    assert (row.status, row.attempt, row.epoch) == ("completed", 1, 2)


def test_a_server_that_refuses_everything_was_not_asked(world: World) -> None:
    ann = world.friend("ann")
    world.watch("Heat", "ann", count=1)
    known = next(one for one in world.plex.library.accounts.values() if one.name == "ann")
    good, known.token = known.token, "another"
    with pytest.raises(PlexUnauthorized):
        refresh(world.door.runtime, ann.id, lambda: None)
    known.token = good

    refresh(world.door.runtime, ann.id, lambda: None)

    assert states(ann)["Heat"] == (True, 1, None)


def test_their_token_goes_to_plex_tv_and_the_access_token_to_the_server(world: World) -> None:
    ann = world.friend("ann")
    world.plex.forget()
    refresh(world.door.runtime, ann.id, lambda: None)

    account = world.tv.accounts[0]
    sent = {seen.headers.get("x-plex-token") for seen in world.tv.seen}
    assert sent == {account.token}
    assert {seen.account for seen in world.plex.requests} == {"ann"}
