"""The pages of the library and of a title, without a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from catalogues import synced
from door import Door, Person, opened
from pages_read import heading, item_id, page, raw_page, titles
from sqlalchemy import func

from config.settings import Settings
from models.media import WatchState
from tests.fakes.plex_server import PlexDouble, Version


@pytest.fixture
def plex() -> Iterator[PlexDouble]:
    """Films in two versions, a show of two seasons, music, and a hidden library."""
    with PlexDouble() as double:
        library = double.library
        films = library.add_section("movie", "Films", "/srv/media/films")
        shows = library.add_section("show", "TV Shows", "/srv/media/tv")
        library.add_section("artist", "Records", "/srv/media/records")
        hidden = library.add_section("movie", "Attic", "/srv/media/attic", hidden=2)
        versions = [
            Version(["/srv/media/films/Heat.mkv"], resolution="1080", size=8_000_000_000),
            Version(
                ["/srv/media/films/Heat 4k.mkv"], resolution="4k", size=20_000_000_000, video_codec="hevc"
            ),
        ]
        library.add_film(films, "Heat", 1995, imdb="tt0113277", versions=versions, Genre=["Crime"])
        library.add_film(films, "Alien", 1979, Genre=["Science Fiction"], summary="Nobody <b>hears</b> it.")
        show = library.add_show(shows, "Chernobyl", 2019, Genre=["Drama"])
        for season in (1, 2):
            for number in (1, 2):
                library.add_episode(show, season, number, f"Hour {season}{number}")
        library.add_film(hidden, "Secret", 1999)
        yield double


@pytest.mark.parametrize(
    ("query", "said", "expected"),
    [
        ("", "Three titles are in the library", {"Alien", "Chernobyl", "Heat"}),
        ("?sort=title&type=", "Three titles are in the library", ["Alien", "Chernobyl", "Heat"]),
        ("?sort=title:desc", "Three titles are in the library", ["Heat", "Chernobyl", "Alien"]),
        ("?type=movie", "Two titles fit", {"Alien", "Heat"}),
        ("?genre=crime", "One title fits", ["Heat"]),
        ("?yearFrom=1995&sort=title", "Two titles fit", ["Chernobyl", "Heat"]),
        ("?yearFrom=1990&yearTo=2000", "One title fits", ["Heat"]),
        ("?resolution=4k", "One title fits", ["Heat"]),
        ("?unwatched=false", "No title fits", []),
        ("?query=hea", "One find for “hea”", ["Heat"]),
        ("?query=chern", "One find for “chern”", ["Chernobyl"]),
        ("?query=hour", "Four finds for “hour”", ["Chernobyl"] * 4),
        ("?query=hour&type=episode", "Four finds for “hour”", ["Chernobyl"] * 4),
        ("?query=ea", "One find for “ea”", ["Heat"]),
        ("?query=a&yearTo=1980", "One find for “a”", ["Alien"]),
        ("?query=secret", "Nothing found for “secret”", []),
        ("?query=zzz", "Nothing found for “zzz”", []),
    ],
)
def test_what_is_listed(
    synced_door: Door, guest: Person, query: str, said: str, expected: list[str] | set[str]
) -> None:
    html = page(guest, f"/library{query}")

    assert heading(html) == said
    assert type(expected)(titles(html)) == expected


def test_of_one_library(synced_door: Door, guest: Person) -> None:
    assert heading(page(guest, "/library/1")) == "Two films in “Films”"
    assert heading(page(guest, "/library/2")) == "One series in “TV Shows”"
    assert heading(page(guest, "/library/3")) == "“Records” is in Plex only"
    assert "There is no such library." in page(guest, "/library/77", 404)


def test_filters_stay_in_the_addresses(synced_door: Door, guest: Person) -> None:
    html = page(guest, "/library?yearFrom=1970&view=table&sort=title")

    addresses = re.findall(r'href="([^"]*library\?[^"]*)"', html)
    assert any("view" not in each and "yearFrom=1970" in each and "sort=title" in each for each in addresses)
    assert any("sort=title%3Adesc" in each and "view=table" in each for each in addresses)
    assert '<option value="title" selected>' in html


def test_more_than_a_page(synced_door: Door, plex: PlexDouble, guest: Person) -> None:
    for number in range(61):
        plex.library.add_film(1, f"Part {number:02}", 2000)
    synced(synced_door.runtime)

    first = page(guest, "/library/1?sort=title&yearFrom=2000&yearTo=2000")
    second = page(guest, "/library/1?sort=title&yearFrom=2000&yearTo=2000&page=2")

    assert (len(titles(first)), titles(second)) == (60, ["Part 60"])
    assert "1 to 60 of 61" in first
    assert re.search(r'rel="next" href="[^"]*yearTo=2000&page=2"', first)
    assert 'rel="next"' not in second


def test_a_film_with_its_files(synced_door: Door, guest: Person) -> None:
    path = f"/item/{item_id(synced_door, 'Heat')}"

    html = page(guest, path)

    assert heading(html) == "Heat"
    assert "4K, HEVC" in html
    assert "1080p, H.264" in html
    assert "https://www.imdb.com/title/tt0113277" in html
    assert "/srv/media/films" not in html
    assert "/srv/media/films/Heat 4k.mkv" in page(synced_door.person("admin"), path)


def test_it_leads_to_plex(synced_door: Door, plex: PlexDouble, guest: Person) -> None:
    key = plex.library.titled("Heat").rating_key

    html = page(guest, f"/item/{item_id(synced_door, 'Heat')}")

    assert (
        f"https://app.plex.tv/desktop/#!/server/{plex.machine_id}/details?key=%2Flibrary%2Fmetadata%2F{key}"
        in html
    )


def test_its_pictures_come_without_a_sign_in(synced_door: Door, guest: Person) -> None:
    html = page(guest, f"/item/{item_id(synced_door, 'Heat')}")

    found = re.search(r'<img class="poster-big" src="\.\./(api/[^"]+)"', html)

    assert found is not None
    answer = synced_door.stranger().get(f"/{found[1]}")
    assert answer.mimetype == "image/jpeg"


def test_a_show_its_seasons_and_episodes(synced_door: Door, guest: Person) -> None:
    show = page(guest, f"/item/{item_id(synced_door, 'Chernobyl')}")
    assert titles(show) == ["Season 1", "Season 2"]

    season = page(guest, f"/item/{item_id(synced_door, 'Season 2')}")
    assert titles(season) == ["1. Hour 21", "2. Hour 22"]

    episode = page(guest, f"/item/{item_id(synced_door, 'Hour 21')}")
    assert "Season 2, episode 1" in episode
    assert f"item/{item_id(synced_door, 'Chernobyl')}" in episode


def test_how_far_one_is(synced_door: Door, guest: Person) -> None:
    with synced_door.runtime.unit_of_work() as db:
        for title, place in (("Hour 11", None), ("Hour 21", None), ("Hour 22", 60_000)):
            seen = {"view_count": int(place is None), "view_offset": place, "updated_at": func.now()}
            db.add(WatchState(user_id=guest.id, item_id=item_id(synced_door, title), **seen))

    assert "2 of 4 watched" in page(guest, f"/item/{item_id(synced_door, 'Chernobyl')}")
    assert "1 of 2 watched" in page(guest, f"/item/{item_id(synced_door, 'Season 1')}")
    assert "Go on in Plex" in page(guest, f"/item/{item_id(synced_door, 'Hour 22')}")
    assert titles(page(guest, "/library?type=episode&unwatched=false")) == ["Chernobyl"] * 2


def test_what_plex_has_no_more(synced_door: Door, plex: PlexDouble, guest: Person) -> None:
    known = item_id(synced_door, "Heat")
    plex.library.remove(plex.library.titled("Heat"))
    synced(synced_door.runtime, full=True)

    html = page(guest, f"/item/{known}")

    assert "Not in Plex any more" in html
    assert "app.plex.tv" not in html


def test_an_unknown_title_is_a_page_of_its_own(synced_door: Door, guest: Person) -> None:
    assert "There is no such item." in page(guest, "/item/med-nothing", 404)


def test_its_words_are_escaped(synced_door: Door, guest: Person) -> None:
    html = raw_page(guest, f"/item/{item_id(synced_door, 'Alien')}")

    assert "Nobody &lt;b&gt;hears&lt;/b&gt; it." in html


def test_before_plex_is_connected(own_door: Door) -> None:
    assert "Whoever looks after this MediaNest has to connect Plex first." in page(
        own_door.person("guest"), "/library"
    )
    assert 'href="admin/integrations"' in page(own_door.person("admin"), "/library")


def test_before_the_first_sync(settings: Settings, plex: PlexDouble) -> None:
    with opened(settings, plex_url=plex.url, plex_token=plex.token) as door:
        assert heading(page(door.person("guest"), "/library")) == "Your library is being read"
