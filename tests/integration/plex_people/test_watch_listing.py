"""What Plex says somebody watched: all of it, whatever the pages are like; nothing is unwatched that may have been missed."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from catalogues import synced
from door import Person
from sqlalchemy import func, select, update

from engine.plex.watching import progress
from engine.plex.watching import refresh as watch_refresh
from models.media import MediaItem, WatchLook, WatchState
from tests.integration.plex_people.test_watch_refresh import World, world

__all__ = ["world"]


@pytest.fixture
def ann(world: World, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Somebody who watched 24 films, read in pages of 10."""
    monkeypatch.setattr(watch_refresh, "_PAGE", 10)
    person = world.friend("ann")
    for number in range(24):
        world.plex.library.add_film(1, f"Film {number}")
        world.watch(f"Film {number}", "ann", count=1, at=1_500_000_000 + number)
    synced(world.door.runtime)
    return person


def watched(world: World, person: Person) -> int:
    query = select(func.count()).where(WatchState.user_id == person.id, WatchState.view_count > 0)
    with world.door.runtime.reading() as db:
        return db.scalar(query) or 0


def told(world: World, person: Person, title: str, at: datetime | None = None) -> None:
    """A webhook tells of a view."""
    with world.door.runtime.unit_of_work() as db:
        item_id = db.scalars(select(MediaItem.id).where(MediaItem.title == title)).one()
        progress.viewed(db, person.id, item_id, at or datetime.now(UTC))


def state(world: World, person: Person, title: str) -> WatchState:
    query = select(WatchState).join(MediaItem, MediaItem.id == WatchState.item_id)
    with world.door.runtime.reading() as db:
        return db.scalars(query.where(MediaItem.title == title, WatchState.user_id == person.id)).one()


def look_at_all(world: World, person: Person) -> None:
    """The daily look."""
    with world.door.runtime.unit_of_work() as db:
        db.execute(update(WatchLook).values(whole_at=WatchLook.whole_at - timedelta(days=1)))
    watch_refresh.refresh(world.door.runtime, person.id, lambda: None)


PAGES: list[tuple[str, dict[str, Any]]] = [
    ("no_total", {}),
    ("no_total", {"size": 4}),
    ("short_pages", {"size": 7}),
    ("ignore_paging", {}),
    ("repeat", {}),
]


@pytest.mark.parametrize(
    ("kind", "said"), PAGES, ids=["no total", "nor full pages", "short", "one page", "repeats"]
)
def test_all_of_it_comes(world: World, ann: Person, kind: str, said: dict[str, Any]) -> None:
    for name in {kind, "short_pages"} if "size" in said else {kind}:
        world.plex.faults.add(name, path="/library/sections/1/all", **said)
    watch_refresh.refresh(world.door.runtime, ann.id, lambda: None)
    assert watched(world, ann) == 24
    look_at_all(world, ann)
    assert watched(world, ann) == 24


@pytest.mark.parametrize("kind", ["no_total", "ignore_paging"])
def test_what_was_unmarked_is_noticed_without_a_total(world: World, ann: Person, kind: str) -> None:
    world.plex.faults.add(kind, path="/library/sections/1/all")
    watch_refresh.refresh(world.door.runtime, ann.id, lambda: None)
    world.plex.library.titled("Film 3").watched.clear()
    look_at_all(world, ann)
    assert watched(world, ann) == 23


@pytest.mark.parametrize("kind", ["skip_one", "shifts", "empty"])
def test_nothing_is_unwatched_by_a_listing_that_may_lack_it(world: World, ann: Person, kind: str) -> None:
    watch_refresh.refresh(world.door.runtime, ann.id, lambda: None)
    told(world, ann, "Heat")  # which the server has not counted yet
    if kind == "shifts":  # somebody watches again what was listed already, and all the rest moves up
        again = lambda *_: world.watch("Film 2", "ann", count=2, at=int(time.time()))  # noqa: E731
        world.plex.faults.add("call", path="/library/sections/1/all", skip=1, times=1, run=again)
    elif kind == "empty":  # and says nothing of how many there are
        for number in range(24):
            world.plex.library.titled(f"Film {number}").watched.clear()
        world.plex.faults.add("no_total", path="/library/sections/1/all")
    else:
        world.plex.faults.add(kind, path="/library/sections/1/all")
    look_at_all(world, ann)
    assert watched(world, ann) == 25


class TestTwoClocks:
    def test_plex_counts_what_a_webhook_told_of_in_the_same_second(self, world: World) -> None:
        ann = world.friend("ann")
        at = datetime.now(UTC)
        told(world, ann, "Heat", at)
        world.watch("Heat", "ann", count=5, at=int(at.timestamp()))
        watch_refresh.refresh(world.door.runtime, ann.id, lambda: None)
        assert state(world, ann, "Heat").view_count == 5

    @pytest.mark.parametrize("hours", [-7, 7])
    def test_a_clock_that_is_wrong_by_hours(self, world: World, hours: int) -> None:
        ann = world.friend("ann")
        told(world, ann, "Heat")
        told(world, ann, "Alien", datetime.now(UTC) - timedelta(days=2))
        theirs = int(time.time()) + hours * 3600
        world.watch("Heat", "ann", count=5, at=theirs)
        world.watch("Alien", "ann", count=0, offset=60_000, at=theirs)
        watch_refresh.refresh(world.door.runtime, ann.id, lambda: None)
        assert state(world, ann, "Heat").view_count == 5
        alien = state(world, ann, "Alien")
        assert (alien.view_count, alien.view_offset) == (0, 60_000)

    def test_what_is_told_while_plex_answers_is_not_lost(self, world: World) -> None:
        ann = world.friend("ann")
        world.watch("Heat", "ann", count=1, at=1_500_000_000)
        late = lambda *_: told(world, ann, "Heat")  # noqa: E731
        world.plex.faults.add("call", path="/library/sections/1/all", times=1, run=late)
        watch_refresh.refresh(world.door.runtime, ann.id, lambda: None)
        assert state(world, ann, "Heat").view_count == 1
        assert state(world, ann, "Heat").last_viewed_at > datetime(2020, 1, 1, tzinfo=UTC)
