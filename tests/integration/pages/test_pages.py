"""What holds for every page and its files, without a browser."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from door import Door, opened, opened_once, refused

STATIC = Path(__file__).resolve().parents[3] / "api" / "pages" / "static"
PAGES = ("parts", "offline", "invitation", "reset-password")
LARGEST = 60_000  # bytes of stylesheets, and of scripts


@pytest.fixture(scope="module")
def door(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with opened_once(postgres, tmp_path_factory.mktemp("door")) as door:
        yield door


def addresses(door: Door, page: str) -> list[str]:
    """The files that a page asks for."""
    return re.findall(r'(?:src|href)="(static/[^"#]+)', door.stranger().get(f"/{page}").text)


@pytest.mark.parametrize("page", PAGES)
def test_its_files_may_be_kept_for_a_year(door: Door, page: str) -> None:
    found = addresses(door, page)

    assert {address.rpartition(".")[2] for address in found} >= {"css", "svg"}
    for address in set(found):
        answer = door.stranger().get(f"/{address}")
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert re.fullmatch(r"static/[\w-]+\.[0-9a-f]{12}\.(css|svg|js|png)", address)


@pytest.mark.parametrize(
    "name", ["parts.css", "parts.000000000000.css", "..%2fparts.py", "css%2fparts.css", "%00", ""]
)
def test_no_other_file_is_served(door: Door, name: str) -> None:
    refused(door.stranger().get(f"/static/{name}"), 404, "NOT_FOUND")


@pytest.mark.parametrize("page", PAGES)
def test_its_policy_allows_only_what_is_ours(door: Door, page: str) -> None:
    answer = door.stranger().get(f"/{page}")

    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self';")
    assert not re.search(r"unsafe|data:|\*|http", policy)
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=", answer.text)


@pytest.mark.parametrize("page", PAGES)
def test_every_icon_is_in_the_sprite(door: Door, page: str) -> None:
    drawn = set(re.findall(r'<symbol id="([\w-]+)"', (STATIC / "icons.svg").read_text()))
    used = set(re.findall(r"icons\.\w+\.svg#([\w-]+)", door.stranger().get(f"/{page}").text))

    assert used
    assert used <= drawn


def test_names_are_escaped(door: Door) -> None:
    assert "Bench &amp; Solder" in door.stranger().get("/parts").text


@pytest.mark.parametrize("kind", ["css", "js"])
def test_they_are_light(kind: str) -> None:
    assert sum(path.stat().st_size for path in STATIC.rglob(f"*.{kind}")) < LARGEST


def test_the_parts_are_for_development_only(door: Door) -> None:
    with opened(door.runtime.settings, app_env="production") as production:
        refused(production.stranger().get("/parts"), 404, "NOT_FOUND")


def test_the_manifest_names_files_that_there_are(door: Door) -> None:
    manifest = door.stranger().get("/manifest.webmanifest").get_json()

    assert {icon.get("purpose") for icon in manifest["icons"]} == {None, "maskable"}
    for icon in manifest["icons"]:
        assert door.stranger().get(f"/{icon['src']}").mimetype == icon["type"]
    assert manifest["share_target"]["action"] == "share"


def test_the_service_worker_keeps_files_that_there_are(door: Door) -> None:
    script = door.stranger().get("/service-worker.js").text

    kept = json.loads(re.findall(r"const FILES = (\[.*?\]);", script)[0])
    assert any("live." in path for path in kept)
    assert [path for path in kept if door.stranger().get(f"/{path}").status_code != 200] == []


def test_files_are_compressed_where_that_helps(door: Door) -> None:
    path = next(path for path in addresses(door, "offline") if "parts." in path)

    plain, zipped = (
        door.stranger().get(f"/{path}", headers={"Accept-Encoding": kind}) for kind in ("", "gzip")
    )

    assert zipped.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped.data) == plain.data
    assert len(zipped.data) < len(plain.data) / 3
