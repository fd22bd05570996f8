"""`/media`: the catalogue over all libraries, and single items with their files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from catalogues import synced
from door import Door, Person, data_of, opened, refused

from config.settings import Settings
from tests.fakes.plex_server import PlexDouble, Version


@pytest.fixture
def plex() -> Iterator[PlexDouble]:
    """Films in two versions, a show, and a hidden library."""
    with PlexDouble() as double:
        library = double.library
        films = library.add_section("movie", "Films", "/srv/media/films")
        shows = library.add_section("show", "TV Shows", "/srv/media/tv")
        hidden = library.add_section("movie", "Attic", "/srv/media/attic", hidden=2)
        versions = [
            Version(["/srv/media/films/Heat.mkv"], resolution="1080", size=8_000),
            Version(["/srv/media/films/Heat 4k.mkv"], resolution="4k", size=20_000, video_codec="hevc"),
        ]
        library.add_film(
            films, "Heat", 1995, imdb="tt0113277", tmdb=949, versions=versions, Genre=["Crime", "Drama"]
        )
        library.add_film(films, "Alien", 1979, imdb="tt0078748", tmdb=348, editionTitle="Director's Cut")
        show = library.add_show(shows, "Chernobyl", 2019, tvdb=360893)
        for season in (2, 1):
            for number in (2, 1):
                library.add_episode(show, season, number)
        library.add_film(hidden, "Secret", 1999)
        yield double


def titles(answer: Any) -> list[str]:
    return [item["title"] for item in data_of(answer)["items"]]


def item_of(person: Person, title: str, kind: str = "movie") -> dict[str, Any]:
    items = data_of(person.get(f"/media?type={kind}&limit=100"))["items"]
    return next(item for item in items if item["title"] == title)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["Alien", "Chernobyl", "Heat"]),
        ("?type=movie", ["Alien", "Heat"]),
        ("?type=season", ["Season 1", "Season 2"]),
        ("?library=2", ["Chernobyl"]),
        ("?library=3", ["Secret"]),
        ("?library=99", []),
        ("?genre=crime", ["Heat"]),
        ("?year=1979", ["Alien"]),
        ("?resolution=2160p", ["Heat"]),
        ("?imdb=tt0113277", ["Heat"]),
        ("?tmdb=348", ["Alien"]),
        ("?tmdb=348&imdb=tt0113277", []),
        ("?tvdb=360893", ["Chernobyl"]),
        ("?search=cher", ["Chernobyl"]),
        ("?deleted=true", []),
    ],
)
def test_the_catalogue_over_all_libraries(guest: Person, query: str, expected: list[str]) -> None:
    sort = "&sort=title" if query else "?sort=title"

    answer = guest.get("/media" + query + sort)

    assert titles(answer) == expected
    assert data_of(answer)["pagination"]["totalItems"] == len(expected)
    assert answer.headers["Cache-Control"] == "private, max-age=30"


def test_what_plex_has_no_more_is_only_in_the_list_of_those(
    guest: Person, synced_door: Door, plex: PlexDouble
) -> None:
    heat = item_of(guest, "Heat")
    plex.library.remove(plex.library.titled("Heat"))
    synced(synced_door.runtime)

    assert titles(guest.get("/media?type=movie")) == ["Alien"]
    assert titles(guest.get("/media?deleted=true")) == ["Heat"]
    row = data_of(guest.get(f"/media/items/{heat['id']}"))
    assert row["deletedAt"].endswith("Z")
    assert (row["poster"], row["art"]) == (None, None)


def test_details_of_a_film(guest: Person) -> None:
    row = data_of(guest.get(f"/media/items/{item_of(guest, 'Heat')['id']}"))

    assert (row["title"], row["year"], row["resolution"], row["size"]) == ("Heat", 1995, "4k", 28_000)
    assert row["ids"] == {"imdb": "tt0113277", "tmdb": "949", "tvdb": None}
    assert row["genres"] == ["Crime", "Drama"]
    assert row["children"] == []
    assert [(version["resolution"], version["videoCodec"]) for version in row["versions"]] == [
        ("1080", "h264"),
        ("4k", "hevc"),
    ]
    assert row["versions"][0]["files"] == [{"path": None, "size": 8_000, "duration": 6_000_000}]
    assert item_of(guest, "Alien")["edition"] == "Director's Cut"


def test_paths_of_files_are_for_those_who_configure(guest: Person, synced_door: Door) -> None:
    path = f"/media/items/{item_of(guest, 'Heat')['id']}"
    chief = synced_door.person("admin")

    guests, admins = guest.get(path), chief.get(path)

    assert "/srv/" not in guests.text
    assert data_of(admins)["versions"][0]["files"][0]["path"] == "/srv/media/films/Heat.mkv"
    tag = {"If-None-Match": admins.headers["ETag"]}
    assert chief.get(path, headers=tag).status_code == 304
    assert guest.get(path, headers=tag).status_code == 200


def test_a_show_has_its_seasons_and_a_season_its_episodes_in_order(guest: Person) -> None:
    show = data_of(guest.get(f"/media/items/{item_of(guest, 'Chernobyl', 'show')['id']}"))
    season = data_of(guest.get(f"/media/items/{show['children'][0]['id']}"))
    episode = data_of(guest.get(f"/media/items/{season['children'][1]['id']}"))

    assert [child["index"] for child in show["children"]] == [1, 2]
    assert [child["index"] for child in season["children"]] == [1, 2]
    assert (season["showId"], episode["showId"], episode["seasonId"]) == (
        show["id"],
        show["id"],
        season["id"],
    )
    assert (episode["parentIndex"], episode["index"], episode["showTitle"]) == (1, 2, "Chernobyl")


@pytest.mark.parametrize("item_id", ["med-00000000000000000000000000", "x", "dl-1"])
def test_an_item_that_does_not_exist(guest: Person, item_id: str) -> None:
    refused(guest.get(f"/media/items/{item_id}"), 404, "NOT_FOUND")


@pytest.mark.parametrize("query", ["type=album", "deleted=1", "library=", "imdb=", "sort=id"])
def test_a_query_that_is_not_valid(guest: Person, query: str) -> None:
    refused(guest.get(f"/media?{query}"), 400, "VALIDATION_ERROR")


def test_without_a_server_the_catalogue_is_empty(settings: Settings) -> None:
    with opened(settings) as door:
        ann = door.person("guest")
        data = data_of(ann.get("/media"))

        assert (data["items"], data["pagination"]["totalItems"], data["syncedAt"]) == ([], 0, None)
        refused(ann.get("/media/items/med-1"), 404, "NOT_FOUND")


def test_nobody_looks_without_signing_in(synced_door: Door) -> None:
    for path in ("/media", "/media/items/med-1", "/plex/server", "/plex/libraries/1/items"):
        refused(synced_door.stranger().get("/api/v1" + path), 401, "UNAUTHORIZED")
