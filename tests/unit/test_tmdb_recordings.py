"""Answers that TMDB gave, through what reads them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.titles import normal

Fixtures = Callable[[str], Path]


def answer(fixtures: Fixtures, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(fixtures(f"tmdb/responses/{name}.json").read_text())
    return found


def test_a_film(fixtures: Fixtures) -> None:
    body = answer(fixtures, "movies_details_with_append_to_response")

    row, details = normal.summary(body, "movie", "en"), normal.details(body, "movie")

    assert row is not None
    assert (row["tmdb_id"], row["title"]) == (str(body["id"]), body["title"])
    assert row["released"].isoformat() == body["release_date"]
    assert (row["poster"], row["backdrop"]) == (body["poster_path"], body["backdrop_path"])
    assert (details["runtime"], details["imdbId"]) == (92, body["imdb_id"])
    assert details["genres"] == [genre["name"] for genre in body["genres"]]
    assert details["collection"]["name"] == body["belongs_to_collection"]["name"]
    assert details["cast"][0]["name"] == body["credits"]["cast"][0]["name"]
    assert "Director" in {one["job"] for one in details["crew"]}
    assert details["seasons"] == []
    assert normal.other_titles(body)
    assert [number for _, number in normal.similar(body, "movie")] == [
        str(one["id"]) for one in (body["recommendations"]["results"] or body["similar"]["results"])[:20]
    ]


def test_a_series(fixtures: Fixtures) -> None:
    body = answer(fixtures, "tv_series_details_with_append_to_response")

    row, details = normal.summary(body, "tv", "en"), normal.details(body, "tv")

    assert row is not None
    assert (row["title"], row["released"].isoformat()) == (body["name"], body["first_air_date"])
    assert (details["tvdbId"], details["runtime"]) == (
        str(body["external_ids"]["tvdb_id"]),
        body["episode_run_time"][0],
    )
    assert details["crew"][0] == {
        "name": body["created_by"][0]["name"],
        "job": "Creator",
        "photo": body["created_by"][0]["profile_path"],
    }
    assert [season["number"] for season in details["seasons"]] == [
        season["season_number"] for season in body["seasons"]
    ]
    last = body["last_episode_to_air"]
    newest = next(one for one in details["seasons"] if one["number"] == last["season_number"])
    assert newest["aired"] == last["episode_number"]
    assert details["contentRating"]
    assert normal.names(body)["de"]["overview"]
    assert details["cast"][0]["role"]


def test_a_search_for_everything(fixtures: Fixtures) -> None:
    body = answer(fixtures, "search_multi")

    kinds = [normal.type_of(entry, None) for entry in body["results"]]

    assert {"movie", "tv"} >= set(filter(None, kinds))
    assert [kind for kind, entry in zip(kinds, body["results"], strict=True) if kind is None] == [
        None for entry in body["results"] if entry["media_type"] not in {"movie", "tv"}
    ]
    for kind, entry in zip(kinds, body["results"], strict=True):
        row = None if kind is None else normal.summary(entry, kind, "en")
        assert (row is None) is (kind is None)
        assert row is None or row["title"] == (entry.get("title") or entry.get("name"))
