"""`GET /search/suggest`: titles while somebody types, from the library and their own downloads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from catalogues import connected, synced
from door import Door, Person, data_of, opened, opened_once, refused
from factories import make_download
from sqlalchemy import func, update

from config.settings import Settings
from models.user import User
from tests.fakes.plex_server import PlexDouble

FILMS = [
    ("Heat", 1995), ("Heathers", 1988), ("The Heat", 2013), ("In the Heat of the Night", 1967), ("Amélie", 2001),
    ("Ödipussi", 1988), ("Æon Flux", 2005), ("Spider-Man: No Way Home", 2021), ("2001: A Space Odyssey", 1968),
    ("Солярис", 1972), ("東京物語", 1953), ("100% Wolf", 2020), ("It's a Wonderful Life", 1946), ("Łódź", 2000),
]  # fmt: skip


@pytest.fixture(scope="module")
def plex() -> Iterator[PlexDouble]:
    with PlexDouble() as double:
        library = double.library
        films = library.add_section("movie", "Films", "/srv/media/films")
        shows = library.add_section("show", "TV Shows", "/srv/media/tv")
        hidden = library.add_section("movie", "Attic", "/srv/media/attic", hidden=2)
        for title, year in FILMS:
            library.add_film(films, title, year)
        library.add_film(hidden, "Heat of the Attic", 1999)
        show = library.add_show(shows, "Breaking Bad", 2008)
        for number in range(1, 12):
            library.add_episode(show, 1, number)
        yield double


@pytest.fixture
def door(settings: Settings, plex: PlexDouble) -> Iterator[Door]:
    with connected(settings, plex) as door:
        synced(door.runtime)
        yield door


@pytest.fixture
def typing(door: Door) -> Any:
    person = door.person()
    return lambda query: suggested(person, query)


def suggested(person: Person, query: str) -> list[str]:
    answer = person.get("/search/suggest", query_string={"query": query})
    return [item["title"] for item in data_of(answer)["items"]]


def downloaded(door: Door, person: Person, title: str | None, **values: Any) -> str:
    with door.runtime.unit_of_work() as db:
        return make_download(db, db.get_one(User, person.id), title=title, **values).id


def test_everything_that_is_promised_of_the_library(door: Door, typing: Any) -> None:
    """One sync for all that only reads: better matches first, of any script, whatever is typed."""
    for query, expected in {
        "": [],
        "  ": [],
        "heat": ["Heat", "Heathers", "The Heat", "In the Heat of the Night"],
        "HEA": ["Heat", "Heathers", "The Heat", "In the Heat of the Night"],
        "heath": ["Heathers"],
        "the h": ["The Heat", "In the Heat of the Night"],
        "night heat": ["In the Heat of the Night"],
        "ame": ["Amélie"],
        "AMÉ": ["Amélie"],
        "ame\u0301lie": ["Amélie"],
        "odip": ["Ödipussi"],
        "lodz": ["Łódź"],
        "aeon": ["Æon Flux"],
        "man": ["Spider-Man: No Way Home"],
        "spider-m": ["Spider-Man: No Way Home"],
        "200": ["2001: A Space Odyssey"],
        "сол": ["Солярис"],
        "東": ["東京物語"],
        "it's a w": ["It's a Wonderful Life"],
        "100%": ["100% Wolf"],
        "%": [],
        "_": [],
        "eat": [],
        "attic": [],
        "nothing like it": [],
    }.items():  # fmt: skip
        assert typing(query) == expected, query
    assert len(typing("e")) > 0
    assert typing("brea")[0] == "Breaking Bad"
    assert all("Breaking" not in title for title in typing("brea")[1:]), "its episodes have other titles"
    assert len(typing("episode")) == 8


@pytest.mark.parametrize(
    "query",
    [
        "'", "''", "\\", "\\'", "＇", "＼＇a", "a'b\\'c", ":*", "a:*b", "!a", "a & b", "(((", "<->", "a | !", "é" * 200,
        "\u0301", "\u202e", "\U0010ffff", "😀", " ".join("a" * 100), "'" * 200, "http://a.b/c?d=e", "-5", "1e9", "=",
    ],
)  # fmt: skip
def test_nothing_that_is_typed_breaks_it(door_of_all: Person, query: str) -> None:
    for path in ("/search/suggest", "/plex/search"):
        answer = door_of_all.get(path, query_string={"query": query})
        assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def door_of_all(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    with opened_once(postgres, tmp_path_factory.mktemp("all")) as plain:
        changes = {"plex_url": "http://127.0.0.1:9", "plex_token": "x"}
        with opened(plain.runtime.settings, **changes) as door:
            yield door.person()


@pytest.mark.parametrize("query", ["\0", "a\0b", "a\nb", "x" * 201, "x" * 10_000])
def test_what_is_no_text_to_type_is_refused(door_of_all: Person, query: str) -> None:
    answer = door_of_all.get("/search/suggest", query_string={"query": query})

    refused(answer, 400, "VALIDATION_ERROR")


def test_one_s_own_downloads_stand_among_films(door: Door) -> None:
    ann, ben = door.person(), door.person()
    mine = downloaded(door, ann, "Heat – the making of", status="completed", ended_at=func.now())
    downloaded(door, ben, "Heatwave")
    downloaded(door, ann, None)

    found = data_of(ann.get("/search/suggest?query=heat"))["items"]

    assert [item["title"] for item in found] == [
        "Heat", "Heathers", "Heat – the making of", "The Heat", "In the Heat of the Night",
    ]  # fmt: skip
    assert found[2] == {
        "id": mine, "kind": "download", "type": "video", "title": "Heat – the making of", "year": None,
        "url": f"/downloads/{mine}",
    }  # fmt: skip
    film = found[0]
    assert (film["kind"], film["type"], film["year"]) == ("library", "movie", 1995)
    assert film["url"] == f"/item/{film['id']}"
    assert film["id"].startswith("med-")
    assert suggested(ann, "making hea") == ["Heat – the making of"]
    assert "Heatwave" in suggested(ben, "heatw")
    assert suggested(ann, "user") == [], "the word by which the index knows its owner is no word of a title"
    assert suggested(ann, ann.id) == []


def test_who_may_not_download_is_shown_none(door: Door) -> None:
    ann = door.person()
    downloaded(door, ann, "Heatwave")
    with door.runtime.unit_of_work() as db:
        db.execute(update(User).where(User.id == ann.id).values(role="guest"))

    assert "Heatwave" not in suggested(ann, "heat")


def test_without_plex_the_downloads_are_left(own_door: Door) -> None:
    ann = own_door.person()
    downloaded(own_door, ann, "Garden walk")

    assert suggested(ann, "wal") == ["Garden walk"]


def test_more_than_eight_are_the_best_eight(own_door: Door) -> None:
    ann = own_door.person()
    for number in range(300):
        downloaded(own_door, ann, f"Walk number {number}")
    downloaded(own_door, ann, "Walk")
    downloaded(own_door, ann, "A walk")

    found = suggested(ann, "walk")

    assert len(found) == 8
    assert found[0] == "Walk"
    assert "A walk" not in found
