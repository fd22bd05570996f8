"""Pictures: the address is the permission, Plex is asked once, and only pictures come through."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from catalogues import connected, synced
from door import Door, data_of, refused
from werkzeug.test import TestResponse

from config.settings import Settings
from engine.storage.picture_store import PictureStore
from tests.fakes.plex_server import PlexDouble

TRANSCODE = "/photo/:/transcode"


@pytest.fixture
def plex() -> Iterator[PlexDouble]:
    with PlexDouble() as double:
        films = double.library.add_section("movie", "Films")
        heat = double.library.add_film(films, "Heat", 1995)
        double.library.add_collection(films, "Best", [heat])
        yield double


@pytest.fixture
def url(synced_door: Door) -> str:
    """The address of a poster."""
    item = data_of(synced_door.person("guest").get("/media"))["items"][0]
    assert item["poster"].startswith(f"/api/v1/plex/artwork/{item['id']}?")
    return str(item["poster"])


def asked(plex: PlexDouble) -> list[dict[str, str]]:
    return [seen.query for seen in plex.requests if seen.path == TRANSCODE]


def look(door: Door, url: str) -> TestResponse:
    """As a browser does: without any header of ours."""
    return door.stranger().get(url)


def test_a_browser_gets_it_without_signing_in(synced_door: Door, plex: PlexDouble, url: str) -> None:
    answer = look(synced_door, url)

    assert (answer.status_code, answer.mimetype) == (200, "image/jpeg")
    assert answer.data.startswith(b"\xff\xd8\xff")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "X-RateLimit-Limit" not in answer.headers
    (query,) = asked(plex)
    assert (query["width"], query["height"]) == ("300", "450")
    assert "X-Plex-Token" not in query
    assert plex.token not in url


def test_what_a_browser_has_is_not_sent_again(synced_door: Door, url: str) -> None:
    tag = look(synced_door, url).headers["ETag"]

    again = synced_door.stranger().get(url, headers={"If-None-Match": tag})

    assert (again.status_code, again.data) == (304, b"")


def test_plex_is_asked_once_for_each_width(synced_door: Door, plex: PlexDouble, url: str) -> None:
    for width in (150, 300, 300, 1280, 150):
        assert look(synced_door, url.replace("width=300", f"width={width}")).status_code == 200

    assert [query["width"] for query in asked(plex)] == ["150", "300", "1280"]


def test_the_disk_serves_while_plex_is_down(synced_door: Door, plex: PlexDouble, url: str) -> None:
    before = look(synced_door, url).data
    plex.stop()

    assert look(synced_door, url).data == before
    refused(look(synced_door, url.replace("width=300", "width=500")), 503, "PLEX_UNREACHABLE")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("sig=", "sig=A"),
        ("kind=poster", "kind=art"),
        ("v=", "v=0"),
        ("med-", "med-0"),
        ("sig=", "sig=%C3%A9"),
    ],
)
def test_a_forged_address(synced_door: Door, plex: PlexDouble, url: str, old: str, new: str) -> None:
    refused(look(synced_door, url.replace(old, new, 1)), 403, "FORBIDDEN")

    assert asked(plex) == []


def test_the_address_of_another_installation(
    synced_door: Door, settings: Settings, plex: PlexDouble, url: str
) -> None:
    with connected(settings, plex, secret_key="t" * 48) as other:
        refused(look(other, url), 403, "FORBIDDEN")


@pytest.mark.parametrize("change", ["width=301", "width=0", "width=99999", "width=x", "width=300&height=9"])
def test_a_size_that_is_not_offered(synced_door: Door, plex: PlexDouble, url: str, change: str) -> None:
    refused(look(synced_door, url.replace("width=300", change)), 400, "VALIDATION_ERROR")

    assert asked(plex) == []


def test_without_a_signature(synced_door: Door, url: str) -> None:
    refused(look(synced_door, url.partition("&sig=")[0]), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("fault", "said", "status", "code"),
    [
        ("html_200", {}, 502, "UPSTREAM_ERROR"),
        ("status", {"code": 401}, 502, "UPSTREAM_ERROR"),
        ("status", {"code": 404}, 404, "NOT_FOUND"),
        ("status", {"code": 503}, 503, "PLEX_UNREACHABLE"),
        ("half_body", {}, 503, "PLEX_UNREACHABLE"),
        ("reset", {}, 503, "PLEX_UNREACHABLE"),
    ],
)
def test_plex_sends_no_picture(
    synced_door: Door, plex: PlexDouble, url: str, fault: str, said: dict[str, int], status: int, code: str
) -> None:
    plex.faults.add(fault, path=TRANSCODE, **said)

    error = refused(look(synced_door, url), status, code)

    assert plex.token not in str(error)
    plex.faults.clear()
    assert look(synced_door, url).status_code == 200, "nothing of it was kept"


def test_a_picture_whose_header_lies(synced_door: Door, plex: PlexDouble, url: str) -> None:
    """What counts is what it is: the type comes from the bytes."""
    plex.faults.add("wrong_type", path=TRANSCODE, type="text/html")

    answer = look(synced_door, url)

    assert (answer.status_code, answer.mimetype) == (200, "image/jpeg")


def test_a_picture_of_twenty_megabytes(synced_door: Door, plex: PlexDouble, url: str) -> None:
    plex.picture_padding = 20 << 20

    refused(look(synced_door, url), 502, "UPSTREAM_ERROR")


def test_a_new_poster_has_a_new_address_and_the_old_one_shows_it_too(
    synced_door: Door, plex: PlexDouble, url: str
) -> None:
    look(synced_door, url)
    heat = plex.library.titled("Heat")
    plex.library.change(heat, thumb=f"/library/metadata/{heat.id}/thumb/1999999999")
    synced(synced_door.runtime)

    fresh = data_of(synced_door.person("guest").get("/media"))["items"][0]["poster"]
    old = look(synced_door, url)

    assert fresh != url
    assert (old.status_code, old.headers["Cache-Control"]) == (200, "public, max-age=30")
    assert look(synced_door, fresh).headers["Cache-Control"].endswith("immutable")
    assert len(asked(plex)) == 2


def test_a_removed_item_has_no_picture(synced_door: Door, plex: PlexDouble, url: str) -> None:
    plex.library.remove(plex.library.titled("Heat"))
    synced(synced_door.runtime)

    refused(look(synced_door, url), 404, "NOT_FOUND")


def test_the_server_fetches_nothing_from_elsewhere(synced_door: Door, plex: PlexDouble) -> None:
    film = plex.library.titled("Heat")
    for thumb in ("http://169.254.169.254/latest", "/library/../accounts", "//evil.example/x.jpg"):
        plex.library.change(film, thumb=thumb)
        synced(synced_door.runtime)
        assert data_of(synced_door.person("guest").get("/media"))["items"][0]["poster"] is None


def test_collections_and_libraries_have_pictures(synced_door: Door, plex: PlexDouble) -> None:
    ann = synced_door.person("guest")
    (collection,) = data_of(ann.get("/plex/libraries/1/collections"))["items"]
    (library,) = data_of(ann.get("/plex/libraries"))["libraries"]

    assert look(synced_door, collection["poster"]).mimetype == "image/jpeg"
    assert library["poster"].startswith("/api/v1/plex/artwork/lib-1?")
    look(synced_door, library["poster"])
    assert asked(plex)[-1]["url"].startswith("/library/sections/1/composite/")


def test_the_background_of_an_item(synced_door: Door, plex: PlexDouble) -> None:
    heat = plex.library.titled("Heat")
    plex.library.change(heat, art=f"/library/metadata/{heat.id}/art/5")
    synced(synced_door.runtime)

    art = data_of(synced_door.person("guest").get("/media"))["items"][0]["art"]

    assert parse_qs(urlsplit(art).query)["width"] == ["1280"]
    assert look(synced_door, art).status_code == 200
    assert (asked(plex)[-1]["width"], asked(plex)[-1]["height"]) == ("1280", "720")


def test_a_disk_that_takes_nothing_does_no_harm(synced_door: Door, plex: PlexDouble, url: str) -> None:
    (synced_door.runtime.settings.data_dir / "artwork").write_text("in the way")

    assert [look(synced_door, url).status_code for _ in range(2)] == [200, 200]
    assert len(asked(plex)) == 2


def test_the_least_recently_used_pictures_are_removed(tmp_path: Path) -> None:
    store = PictureStore(tmp_path / "pictures", most=1000)
    for number in range(20):
        store.put(f"{number:02}-name", bytes(100))
        os.utime(tmp_path / "pictures" / f"{number:02}" / f"{number:02}-name", (number, number))
    assert store.get("00-name") is not None, "which is using it"

    store.tidy()

    kept = {path.name[:2] for path in (tmp_path / "pictures").glob("??/*")}
    assert kept == {"00", *(f"{number:02}" for number in range(12, 20))}
    store.tidy()
    assert len(list((tmp_path / "pictures").glob("??/*"))) == 9
