"""What is not known comes last, in whatever direction a list is sorted; its order is total, and an index gives it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from catalogues import connected, synced
from door import Door, data_of
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from config.settings import Settings
from engine.plex.catalogue import current
from engine.plex.catalogue import items as catalogue
from tests.fakes.plex_server import PlexDouble

NOW = 1_700_000_000
SORTED = ("addedAt", "year", "rating", "duration", "releasedAt", "lastViewedAt")


@pytest.fixture
def door(settings: Settings) -> Iterator[Door]:
    """Films of which something is known, and films of which Plex says nothing, or something that can't be."""
    nothing: dict[str, Any] = {"year": None, "rating": None, "originallyAvailableAt": None}
    dates = (0, -5, NOW * 1000, int(time.time()) + 10 * 86_400, 4_102_444_800)
    with PlexDouble() as plex, connected(settings, plex) as door:
        for section in (1, 2):
            plex.library.add_section("movie", f"Films {section}")
            for number in range(3):
                known = {"rating": 5.0 + number, "originallyAvailableAt": f"200{number}-01-01"}
                versions = [{"files": [f"/{section}/{number}.mkv"], "duration": 1000 + number}]
                name = f"Known {section}{number}"
                film = plex.library.add_film(section, name, 2000 + number, versions=versions, **known)
                plex.library.change(film, added_at=NOW + number)
                plex.library.watch(film, count=1)
            unknown = plex.library.add_film(section, f"Unknown {section}", versions=[], **nothing)
            plex.library.change(unknown, addedAt=None, added_at=0)
            for number, date in enumerate(dates):
                film = plex.library.add_film(section, f"Unknown {section}{number}", versions=[], **nothing)
                plex.library.change(film, added_at=date, rating=-1, year=0, duration=-1)
        synced(door.runtime)
        yield door


def shown(person: Any, path: str) -> list[dict[str, Any]]:
    items, page = [], 1
    while True:
        part = data_of(person.get(f"{path}&limit=4&page={page}"))
        items += part["items"]
        if len(items) >= part["pagination"]["totalItems"] or not part["items"]:
            return items
        page += 1


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("where", ["/media?", "/media?library=1&"])
def test_the_unknown_come_last(door: Door, direction: str, where: str) -> None:
    person = door.person("user")
    for name in SORTED[:-1]:
        items = shown(person, f"{where}sort={name}:{direction}")
        known = [item["title"].startswith("Known") for item in items]
        assert known == sorted(known, reverse=True), (name, known)
        assert any(known)
        assert not all(known)
        ids = [item["id"] for item in items]
        assert len(set(ids)) == len(ids) == (9 if "library" in where else 18), name
        values = [item[name] for item in items if item[name] is not None]
        assert values == sorted(values, reverse=direction == "desc")


def test_the_unknown_have_no_date(door: Door) -> None:
    person = door.person("user")
    items = shown(person, "/media?sort=addedAt:desc")
    assert [item["addedAt"] is None for item in items] == [False] * 6 + [True] * 12
    first = data_of(person.get("/plex/recently-added"))["items"]
    assert [item["title"].startswith("Known") for item in first[:6]] == [True] * 6


@pytest.mark.parametrize("sort", ["addedAt:desc", "addedAt:asc", "title:asc", "title:desc"])
def test_an_index_gives_the_order(door: Door, sort: str) -> None:
    wanted = catalogue.Wanted(sections=("1",), types=("movie",))
    with door.runtime.unit_of_work() as db:
        found = current.need(db, door.runtime.settings)
        query = catalogue._ids(found, "nobody", wanted, sort, 1, 3)
        db.execute(text("SET LOCAL enable_seqscan = off"))
        db.execute(text("SET LOCAL enable_sort = off"))
        said = str(query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))
        plan = "\n".join(db.scalars(text("EXPLAIN " + said.replace(":", r"\:"))))
    index = "ix_media_items_added" if sort.startswith("addedAt") else "ix_media_items_title"
    assert index in plan, plan
    # Where the unknown are a branch of their own, what both give is sorted: no more than two pages.
    assert plan.count("Sort Key") == (1 if sort == "addedAt:asc" else 0), plan
    assert plan.count(index) == (2 if sort == "addedAt:asc" else 1), plan
