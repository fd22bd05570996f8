"""What recorded servers said, read into rows; and what no server should say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from engine.plex.answers import parsing
from engine.plex.answers.parsing import Row, external_ids, fingerprint, row_of

Find = Callable[[str], Path]


def rows(find: Find, name: str) -> list[Row]:
    listed = orjson.loads(find(f"plex/pms_json/{name}").read_bytes())["MediaContainer"]["Metadata"]
    found = [row_of(item) for item in listed]
    return [row for row in found if row is not None]


def items(find: Find, name: str) -> list[dict[str, Any]]:
    return list(orjson.loads(find(f"plex/pms_json/{name}").read_bytes())["MediaContainer"]["Metadata"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("section_movies_all.json", "movie"),
        ("section_shows_all.json", "show"),
        ("show_children_seasons.json", "season"),
        ("season_children_episodes.json", "episode"),
        ("metadata_movie_1036_new_agent.json", "movie"),
        ("metadata_movie_108.json", "movie"),
        ("metadata_movie_182_in_progress.json", "movie"),
    ],
)
def test_every_recorded_item_becomes_a_row(fixtures: Find, name: str, kind: str) -> None:
    told = [item for item in items(fixtures, name) if item.get("ratingKey") and item.get("type") == kind]
    found = rows(fixtures, name)
    assert [row.rating_key for row in found] == [str(item["ratingKey"]) for item in told]
    for row, item in zip(found, told, strict=True):
        assert (row.type, row.title) == (kind, item["title"])
        assert (row.added_at, row.updated_at) == (item.get("addedAt"), item.get("updatedAt"))
        assert row.duration == item.get("duration")
        if item.get("Media"):
            part = item["Media"][0]["Part"][0]
            assert row.file == part["file"]
            assert row.files is not None
            assert orjson.loads(row.files)[0]["parts"][0]["size"] == part["size"]


def test_music_is_not_for_the_catalogue(fixtures: Find) -> None:
    assert items(fixtures, "section_music_all.json")
    assert rows(fixtures, "section_music_all.json") == []


def test_seasons_know_their_show(fixtures: Find) -> None:
    seasons = rows(fixtures, "show_children_seasons.json")
    assert seasons
    assert all(row.parent_key and row.show_title for row in seasons)


GUIDS = [
    ("com.plexapp.agents.imdb://tt0103639?lang=en", None, {"imdb": "tt0103639"}),
    ("com.plexapp.agents.themoviedb://603?lang=en", None, {"tmdb": "603"}),
    ("com.plexapp.agents.thetvdb://268592?lang=en", None, {"tvdb": "268592"}),
    ("com.plexapp.agents.thetvdb://268592/1/3?lang=en", None, {}),  # the series' id, not the episode's
    ("com.plexapp.agents.hama://anidb-17494/1/7?lang=en", None, {}),
    ("com.plexapp.agents.none://abc?lang=xn", None, {}),
    ("local://4711", None, {}),
    ("plex://movie/5d776825880197001ec90b37", None, {}),
    ("plex://movie/x", [{"id": "imdb://tt1"}, {"id": "tmdb://2"}, {"id": "tvdb://3"}], {"imdb": "tt1", "tmdb": "2", "tvdb": "3"}),
    ("com.plexapp.agents.imdb://tt9?lang=en", [{"id": "tmdb://2"}], {"tmdb": "2"}),
    ("plex://movie/x", [{"id": "tmdb://"}, {"id": "mbid://7"}, {}], {}),
    (None, None, {}),
]  # fmt: skip


@pytest.mark.parametrize(("guid", "guids", "ids"), GUIDS)
def test_external_ids(guid: str | None, guids: Any, ids: dict[str, str]) -> None:
    assert external_ids(guid, guids) == ids


def film(**more: Any) -> Row:
    row = row_of({"ratingKey": "1", "type": "movie", "title": "Heat", **more})
    assert row is not None
    return row


@pytest.mark.parametrize(
    ("told", "field", "kept"),
    [
        ({"ratingKey": 7}, "rating_key", "7"),
        ({"year": "1995"}, "year", 1995),
        ({"year": "soon"}, "year", None),
        ({"year": 1e300}, "year", None),
        ({"rating": "7.5"}, "rating", 7.5),
        ({"rating": float("inf")}, "rating", None),
        ({"title": None}, "title", ""),
        ({"title": "a\0b"}, "title", "ab"),
        ({"summary": "x" * 30_000}, "summary", "x" * 20_000),
        ({"originallyAvailableAt": "1995-12-15"}, "released", "1995-12-15"),
        ({"originallyAvailableAt": "1995-02-30"}, "released", None),
        ({"addedAt": -5}, "added_at", None),
        ({"addedAt": 10**15}, "added_at", None),
        ({"titleSort": "Matrix, THE"}, "sort_title", "matrix, the"),
        ({"Genre": [{"tag": "Drama"}, {}]}, "genres", ["Drama"]),
        ({"Media": [{"videoResolution": "1080"}, {"videoResolution": "4k"}]}, "resolution", "4k"),
        ({"Media": []}, "files", None),
    ],
)
def test_odd_values(told: dict[str, Any], field: str, kept: Any) -> None:
    assert getattr(film(**told), field) == kept


@pytest.mark.parametrize(
    ("told", "field", "kept"),
    [
        ({"Genre": ["Drama", None, {"tag": "War"}]}, "genres", ["War"]),
        ({"Genre": {"tag": "War"}}, "genres", ["War"]),
        ({"Guid": [None, 7, {"id": "imdb://tt1"}]}, "imdb_id", "tt1"),
        ({"Guid": {"id": "imdb://tt1"}}, "imdb_id", "tt1"),
        ({"Guid": "imdb://tt1"}, "imdb_id", None),
        ({"Media": [7, None]}, "files", None),
        ({"Media": "rubbish"}, "files", None),
        ({"Media": {"videoResolution": "4k"}}, "resolution", "4k"),
        ({"Media": [None, {"Part": [1, {"file": "/a.mkv"}]}]}, "file", "/a.mkv"),
        ({"Media": [{"Part": {"file": "/a.mkv", "Stream": [None, "x"]}}]}, "file", "/a.mkv"),
        ({"summary": {"a": 1}}, "summary", None),
        ({"summary": ["a"]}, "summary", None),
        ({"studio": True}, "studio", None),
        ({"title": 1984}, "title", "1984"),
    ],
)
def test_an_odd_entry_costs_itself(told: dict[str, Any], field: str, kept: Any) -> None:
    assert getattr(film(**told), field) == kept


def test_entries_without_a_key_are_no_items() -> None:
    assert row_of({"title": "All episodes", "type": "season"}) is None


def test_fingerprint_moves_with_what_is_seen_only() -> None:
    row = film(year=1995, updatedAt=5)
    print_ = fingerprint("1", row)
    assert fingerprint("1", film(year=1995, updatedAt=6, viewCount=3)) == print_
    assert fingerprint("2", row) != print_
    assert fingerprint("1", film(year=1996, updatedAt=5)) != print_


def test_a_list_and_an_answer_about_one_item_have_the_same_fingerprint() -> None:
    part = {"file": "/a.mkv", "size": 5}
    streams = [{"streamType": 2, "languageTag": "en"}, {"streamType": 3, "languageTag": "de"}]
    listed = film(Media=[{"Part": [part]}], Genre=[{"tag": "Drama"}, {"tag": "Crime"}])
    alone = film(
        Media=[{"Part": [{**part, "Stream": streams}]}],
        Genre=[{"tag": "Drama"}, {"tag": "Crime"}, {"tag": "Thriller"}],
    )
    assert fingerprint("1", listed) == fingerprint("1", alone)
    assert alone.files is not None
    assert orjson.loads(alone.files)[0]["languages"] == ["en"]


class _Watched(dict[str, Any]):
    """An item that remembers what was read of it."""

    def __init__(self, item: dict[str, Any]) -> None:
        super().__init__(item)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


@pytest.mark.parametrize("kind", ["movie", "show", "season", "episode"])
def test_the_words_of_a_list_are_all_that_a_row_is_made_of(kind: str) -> None:
    """Else a change would be taken for none, and never be read."""
    item = _Watched({"ratingKey": "1", "type": kind, "title": "Heat"})

    assert row_of(item) is not None
    assert item.asked - {"ratingKey", "updatedAt"} <= set(parsing._READ)


def test_what_somebody_watched_is_not_in_them() -> None:
    item = {"ratingKey": "1", "type": "movie", "title": "Heat"}
    seen = {**item, "viewCount": 3, "lastViewedAt": 1_700_000_005, "updatedAt": 1_700_000_009}
    other = {**item, "Media": [{"Part": [{"file": "/b.mkv"}]}]}

    assert parsing.listed_print("1", seen) == parsing.listed_print("1", item)
    assert len({parsing.listed_print(key, it) for key, it in (("1", item), ("2", item), ("1", other))}) == 3
