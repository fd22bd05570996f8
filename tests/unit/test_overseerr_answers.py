"""What answers of Overseerr and Seerr mean, recorded ones too; and that no answer of a wrong shape breaks anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clients.overseerr_answers import (
    OverseerrGarbled,
    OverseerrRefused,
    check,
    request_of,
    title_of,
)

Fixtures = Callable[[str], Path]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


def read(fixtures: Fixtures, name: str) -> Any:
    return json.loads(fixtures(f"overseerr/{name}").read_bytes())


@pytest.mark.parametrize("name", ["overseerr_api/request.json", "seerr_api/request.json"])
def test_every_request_of_a_list_is_understood(fixtures: Fixtures, name: str) -> None:
    results = read(fixtures, name)["results"]
    found = [request_of(entry) for entry in results]
    assert results
    for entry, one in zip(results, found, strict=True):
        assert one is not None
        assert (one.id, one.tmdb_id) == (str(entry["id"]), str(entry["media"]["tmdbId"]))
        assert one.name
        assert bool(one.seasons) == (one.media_type == "tv")
        assert one.progress in {"approved", "available", "partial"}


@pytest.mark.parametrize(
    "name", ["overseerr_api/create_movie_request.json", "seerr_api/create_tv_request.json"]
)
def test_what_was_made_is_understood(fixtures: Fixtures, name: str) -> None:
    made = request_of(read(fixtures, name))
    assert made is not None
    assert made.progress in {"pending", "approved", "partial", "available"}


@pytest.mark.parametrize("name", ["overseerr_api/movie.json", "seerr_api/tv.json"])
def test_a_title_and_its_requests(fixtures: Fixtures, name: str) -> None:
    title = title_of(read(fixtures, name))
    assert title.name
    assert title.year is not None
    assert title.looked_for
    assert not title.looked_for_4k
    assert title.requests
    assert list(title.requests) == sorted(title.requests, key=lambda one: -int(one.id))
    assert ("tv" in name) == (title.tvdb_id is not None)


def test_a_wrong_key_is_answered_with_403(fixtures: Fixtures) -> None:
    with pytest.raises(OverseerrRefused, match="You do not have permission"):
        check(403, read(fixtures, "overseerr_api/no_access.json"))


def request(status: object, media: object, **more: object) -> dict[str, object]:
    return {"id": 1, "type": "movie", "status": status, "media": {"tmdbId": 949, "status": media}} | more


@pytest.mark.parametrize(
    ("status", "media", "progress"),
    [
        (1, 2, "pending"),
        (2, 3, "approved"),
        (2, 4, "partial"),
        (2, 5, "available"),
        (3, 1, "declined"),
        (4, 3, "failed"),
        (5, 5, "available"),
        (5, 7, "deleted"),
        (9, 3, "unknown"),
        (None, None, "unknown"),
        ([], {}, "unknown"),
        (2, 99, "approved"),
    ],
)
def test_how_far_it_is(status: object, media: object, progress: str) -> None:
    found = request_of(request(status, media))
    assert found is not None
    assert found.progress == progress


@given(JSON, JSON, JSON)
def test_wrong_shapes_break_nothing(one: Any, two: Any, three: Any) -> None:
    request_of(one)
    request_of(request(one, two, type=three, seasons=one, requestedBy=two, is4k=three))
    try:
        title_of({"name": one, "mediaInfo": {"requests": two, "status": three}, "externalIds": one})
    except OverseerrGarbled:
        assert not (isinstance(one, str) and one.strip())
