"""A watchlist and a title as Plex's service sends them in XML, read as those in JSON are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.clients.plex import answers
from engine.plex.answers.external_ids import external_ids

Fixtures = Callable[[str], Path]


def test_a_list(fixtures: Fixtures) -> None:
    found = answers.either(fixtures("plex/provider_xml/watchlist_all.xml").read_bytes())

    assert found["totalSize"] == str(len(found["Metadata"]))
    for entry in found["Metadata"]:
        assert entry["guid"] == f"plex://{entry['type']}/{entry['ratingKey']}"
        assert entry["type"] in {"movie", "show"}
        assert entry["title"]


def test_the_ids_of_a_title() -> None:
    body = b"""<MediaContainer size="1"><Video guid="plex://movie/5d77" ratingKey="5d77" type="movie" title="A Film">
        <Guid id="imdb://tt6443346"/><Guid id="tmdb://436270"/></Video></MediaContainer>"""
    (entry,) = answers.either(body)["Metadata"]

    assert external_ids(entry["guid"], entry["Guid"]) == {"imdb": "tt6443346", "tmdb": "436270"}
