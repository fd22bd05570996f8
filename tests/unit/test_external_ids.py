"""Which ids stand in the guids of Plex's agents of all years."""

from __future__ import annotations

from typing import Any

import pytest

from engine.plex.answers.external_ids import external_ids

AGENTS = "com.plexapp.agents"
FOUND = [
    (f"{AGENTS}.imdb://tt0103639?lang=en", {"imdb": "tt0103639"}),
    (f"{AGENTS}.themoviedb://603?lang=de", {"tmdb": "603"}),
    (f"{AGENTS}.tmdb://603", {"tmdb": "603"}),
    (f"{AGENTS}.standalone://603?lang=en", {"tmdb": "603"}),
    (f"{AGENTS}.thetvdb://78914?lang=en", {"tvdb": "78914"}),
    (f"{AGENTS}.thetvdbdvdorder://78914?lang=en", {"tvdb": "78914"}),
    (f"{AGENTS}.thetvdbabsoluteorder://78914?lang=en", {"tvdb": "78914"}),
    (f"{AGENTS}.abstvdb://78914?lang=en", {"tvdb": "78914"}),
    (f"{AGENTS}.mcm://MCM_TV_A_78914?lang=en", {"tvdb": "78914"}),
    (f"{AGENTS}.hama://tvdb-268592?lang=en", {"tvdb": "268592"}),
    (f"{AGENTS}.hama://tvdb4-268592?lang=en", {"tvdb": "268592"}),
    (f"{AGENTS}.hama://tmdb-603?lang=en", {"tmdb": "603"}),
    (f"{AGENTS}.hama://tsdb-1399?lang=en", {"tmdb": "1399"}),
    (f"{AGENTS}.hama://imdb-tt0103639?lang=en", {"imdb": "tt0103639"}),
    (f"{AGENTS}.xbmcnfo://tt0103639?lang=xn", {"imdb": "tt0103639"}),
    (f"{AGENTS}.xbmcnfotv://78914?lang=xn", {"tvdb": "78914"}),
    (f"{AGENTS}.xbmcnfotv://tt0944947?lang=xn", {"imdb": "tt0944947"}),
    (f"{AGENTS}.trakt://tvdb-78914", {"tvdb": "78914"}),
    ("tv.plex.agents.custom.somebody.tmdb://603", {"tmdb": "603"}),
    ("imdb://tt0103639", {"imdb": "tt0103639"}),
    ("tmdb://603", {"tmdb": "603"}),
]
NONE = [
    f"{AGENTS}.thetvdb://78914/1?lang=en",  # a season, named by its series
    f"{AGENTS}.thetvdbdvdorder://78914/1/3?lang=en",
    f"{AGENTS}.hama://tvdb-268592/1/7?lang=en",
    f"{AGENTS}.hama://anidb-17494?lang=en",
    f"{AGENTS}.hama://17494?lang=en",
    f"{AGENTS}.anidb://17494",
    f"{AGENTS}.tvmaze://82",
    f"{AGENTS}.xbmcnfo://AA196?lang=xn",
    f"{AGENTS}.imdb://603?lang=en",
    f"{AGENTS}.thetvdb://?lang=en",
    f"{AGENTS}.none://abc?lang=xn",
    f"{AGENTS}.never.heard.of://1",
    "tv.plex.agents.none://4711",
    "net.fribbtastic.coding.plex.myanimelist://17494",
    "local://4711",
    "plex://movie/5d776825880197001ec90b37",
    "com.plexapp.agents.themoviedb://" + "1" * 10_000,
    "://",
    "",
    None,
]


@pytest.mark.parametrize(("guid", "ids"), FOUND)
def test_agents_that_name_an_id(guid: str, ids: dict[str, str]) -> None:
    assert external_ids(guid, None) == ids


@pytest.mark.parametrize("guid", NONE)
def test_what_names_none(guid: str | None) -> None:
    assert external_ids(guid, []) == {}


@pytest.mark.parametrize(
    ("guids", "ids"),
    [
        (["imdb://tt1", "tmdb://2", "tvdb://3"], {"imdb": "tt1", "tmdb": "2", "tvdb": "3"}),
        (["tmdb://2", "tmdb://4"], {"tmdb": "2"}),
        (["mbid://7", "tvmaze://8", "anidb://9", "trakt://1", "tmdb://"], {}),
        (["tmdb://two", "imdb://2", "tvdb://3?x=1"], {"tvdb": "3"}),
    ],
)
def test_a_list_of_guids(guids: list[str], ids: dict[str, str]) -> None:
    entries: list[Any] = [{"id": guid} for guid in guids]
    assert external_ids("plex://movie/x", [*entries, {}, {"id": None}]) == ids


def test_a_list_outweighs_the_guid() -> None:
    assert external_ids(f"{AGENTS}.imdb://tt9?lang=en", [{"id": "tmdb://2"}]) == {"tmdb": "2"}
    assert external_ids(f"{AGENTS}.imdb://tt9?lang=en", [{"id": "mbid://2"}]) == {"imdb": "tt9"}
