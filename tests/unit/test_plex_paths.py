"""The same file in our words and in Plex's: Linux, Windows, shares, accents, links."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest

from engine.plex.server.paths import folder, places, same, to_server

PAIRS = [("/srv", "/mnt/all"), ("/srv/downloads", "/media/in"), ("/srv/downloads/films", r"D:\Films")]
ZOE = "Zoë"


def section(key: str, *locations: str, type_: str = "movie") -> dict[str, Any]:
    return {"key": key, "type": type_, "Location": [{"id": 1, "path": each} for each in locations]}


def found(path: str, *sections: dict[str, Any], pairs: Any = ()) -> list[tuple[str, str]]:
    plain = lambda each: each  # noqa: E731
    return [(place.section["key"], place.path) for place in places(path, sections, pairs, plain)]


@pytest.mark.parametrize(
    ("ours", "pairs", "theirs"),
    [
        ("/data/a.mp4", [], "/data/a.mp4"),
        ("/data/a.mp4", PAIRS, "/data/a.mp4"),
        ("/srv/a.mp4", PAIRS, "/mnt/all/a.mp4"),
        ("/srv/downloads/a.mp4", PAIRS, "/media/in/a.mp4"),
        ("/srv/downloads/b/a.mp4", PAIRS, "/media/in/b/a.mp4"),
        ("/srv/downloads/films/Heat (1995)/Heat.mp4", PAIRS, r"D:\Films\Heat (1995)\Heat.mp4"),
        ("/srv/downloads-old/a.mp4", PAIRS, "/mnt/all/downloads-old/a.mp4"),  # no half names
        ("/srv/x/a.mp4", [("/srv/x/", r"\\NAS\media" "\\")], r"\\NAS\media\a.mp4"),
        ("/srv/x/a.mp4", [("/srv/x", "C:/media")], r"C:/media\a.mp4"),
        ("/srv/x/a.mp4", [("/", "/host")], "/host/srv/x/a.mp4"),
        ("/srv/x/a.mp4", [("/srv/x", "/")], "/a.mp4"),
    ],
)
def test_ours_as_the_server_sees_it(ours: str, pairs: list[tuple[str, str]], theirs: str) -> None:
    assert to_server(ours, pairs) == theirs


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("/a/b.mp4", "/a/b.mp4", True),
        ("/a//b.mp4", "/a/b.mp4", True),
        ("/a/B.mp4", "/a/b.mp4", False),
        (r"D:\Films\Heat.mp4", "d:/films/HEAT.MP4", True),
        (r"\\NAS\Films\a.mp4", r"\\nas\films\a.mp4", True),
        (r"\\NAS\Films\a.mp4", r"D:\NAS\Films\a.mp4", False),
        (r"D:\a.mp4", "/D:/a.mp4", False),
        ("/a\\b.mp4", "/a/b.mp4", False),  # a backslash is a letter elsewhere
        (unicodedata.normalize("NFC", f"/a/{ZOE}.mp4"), unicodedata.normalize("NFD", f"/a/{ZOE}.mp4"), True),
        (
            unicodedata.normalize("NFC", rf"D:\{ZOE}.mp4"),
            unicodedata.normalize("NFD", rf"d:\{ZOE.upper()}.mp4"),
            True,
        ),
    ],
)
def test_the_same_file(one: str, other: str, equal: bool) -> None:
    assert same(one, other) is equal
    assert same(other, one) is equal


@pytest.mark.parametrize(
    ("path", "above"),
    [
        ("/a/b/c.mp4", "/a/b"),
        ("/c.mp4", "/"),
        (r"D:\a\c.mp4", r"D:\a"),
        (r"D:\c.mp4", "D:\\"),
        ("D:/a/c.mp4", "D:/a"),
        (r"\\NAS\m\c.mp4", r"\\NAS\m"),
    ],
)
def test_the_folder_to_scan(path: str, above: str) -> None:
    assert folder(path) == above


def test_the_most_specific_folder_wins() -> None:
    films = section("1", "/media", "/elsewhere")
    series = section("2", "/media/series", type_="show")
    assert found("/media/a.mp4", films, series) == [("1", "/media/a.mp4")]
    assert found("/media/series/x/a.mp4", films, series) == [("2", "/media/series/x/a.mp4")]
    assert found("/elsewhere/a.mp4", series, films) == [("1", "/elsewhere/a.mp4")]
    assert found("/other/a.mp4", films, series) == []
    assert found("/media2/a.mp4", films, series) == []


def test_two_libraries_may_have_the_same_folder() -> None:
    both = [section("1", "/media"), section("2", "/media/", type_="artist")]
    assert found("/media/a.mp4", *both) == [("1", "/media/a.mp4"), ("2", "/media/a.mp4")]


def test_a_windows_server_spells_its_own_folder() -> None:
    films = section("1", r"d:\films")
    assert found("/srv/downloads/films/A/b.mp4", films, pairs=PAIRS) == [("1", r"d:\films\A\b.mp4")]
    share = section("3", r"\\nas\Media")
    pairs = [("/srv", r"\\NAS\media")]
    assert found("/srv/A/b.mp4", share, pairs=pairs) == [("3", r"\\nas\Media\A\b.mp4")]


def test_accents_may_be_composed_otherwise() -> None:
    films = section("1", unicodedata.normalize("NFD", f"/media/{ZOE}"))
    ((key, path),) = found(unicodedata.normalize("NFC", f"/media/{ZOE}/a.mp4"), films)
    assert key == "1"
    assert same(path, f"/media/{ZOE}/a.mp4")


def test_links_are_followed_on_both_sides(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "ours").symlink_to("disk")
    (tmp_path / "library").symlink_to("disk")
    ours = str(tmp_path / "ours" / "a" / "b.mp4")
    for location in ("ours", "disk", "library"):
        (place,) = places(ours, [section("1", str(tmp_path / location))])
        assert place.path == str(tmp_path / location / "a" / "b.mp4")
        assert place.folder == str(tmp_path / location / "a")


@pytest.mark.parametrize("location", [[], [{"id": 1}], None])
def test_a_library_without_folders_has_no_files(location: Any) -> None:
    assert places("/a/b.mp4", [{"key": "1", "type": "movie", "Location": location}]) == []
