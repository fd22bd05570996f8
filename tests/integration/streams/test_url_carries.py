"""What is fetched is the address that was judged, and nobody sees how another has spelled it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import imageio_ffmpeg
import pytest
from door import Door, Person, data_of
from factories import make_user

from config.settings import Settings
from engine.clients.fetch_signals import Fetched, FetchSpec
from engine.clients.ytdlp.fetch import fetch
from engine.downloads import downloads
from engine.downloads import work as download_work
from engine.downloads.previews import previews
from engine.downloads.previews import work as preview_work
from engine.jobs.runner import run_next
from engine.runtime import Runtime
from models.download import Download, Preview
from tests.fakes import media
from tests.fakes.raw_site import RawSite, head

NOTE = {
    "referer": "http://evil.example/",
    "force_videoid": "forced",
    "http_headers": {"Referer": "http://evil.example/"},
}
SMUGGLED = "#" + urlencode({"__youtubedl_smuggle": json.dumps(NOTE)})


@pytest.fixture(scope="module")
def site() -> Iterator[RawSite]:
    with RawSite() as running:
        body = media.named_mp4("carried").read_bytes()
        running.answers["/film.mp4"] = [head(type="video/mp4", Content_Length=str(len(body))), body]
        running.answers["/moved"] = [
            b"HTTP/1.1 302 Found\r\nLocation: /film.mp4" + SMUGGLED.encode() + b"\r\n\r\n"
        ]
        page = f'<meta http-equiv="refresh" content="0; url=/film.mp4{SMUGGLED}">'
        running.answers["/page"] = [head(), page.encode()]
        yield running


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, download_allow_private_networks=True, download_allowed_hosts=("*",))


def untouched(site: RawSite, found: str) -> None:
    assert "evil" not in site.said["/film.mp4"]
    assert "forced" not in found


@pytest.mark.parametrize(
    "address", [f"/film.mp4{SMUGGLED}", f"/film.mp4#{quote(SMUGGLED[1:])}", "/moved", "/page"]
)
def test_a_note_to_yt_dlp_is_not_obeyed(site: RawSite, tmp_path: Path, address: str) -> None:
    spec = FetchSpec(
        url=site.url + address, quality="best", format="mp4", work_dir=tmp_path,
        ffmpeg=imageio_ffmpeg.get_ffmpeg_exe(), embed=False,
    )  # fmt: skip

    got: Fetched = fetch(spec, lambda _: None)

    untouched(site, got.metadata.source_id)


def test_a_download_fetches_what_was_judged(site: RawSite, runtime: Runtime) -> None:
    url = f"{site.url}/film.mp4{SMUGGLED}"
    with runtime.unit_of_work() as db:
        user = make_user(db)
        download, _ = downloads.create(db, runtime.settings, user_id=user.id, url=url)
        clean, new = downloads.create(db, runtime.settings, user_id=user.id, url=f"{site.url}/film.mp4")
        assert (clean.id, new) == (download.id, False)
        wanted = download.id

    assert run_next(runtime, download_work.DOWNLOAD, download_work.work)

    with runtime.reading() as db:
        row = db.get_one(Download, wanted)
        assert row.status == "completed", row.error
        assert row.url == url  # as its owner gave it
        untouched(site, f"{row.source_id} {row.file}")


def test_two_routes_of_one_page_are_two_downloads(site: RawSite, runtime: Runtime) -> None:
    with runtime.unit_of_work() as db:
        user = make_user(db)
        rows = [
            downloads.create(db, runtime.settings, user_id=user.id, url=f"{site.url}/film.mp4{fragment}")
            for fragment in ("#/watch/1", "#/watch/2", "", "#t=10", "#/watch/1")
        ]
        assert [new for _, new in rows] == [True, True, True, False, False]


def test_a_shared_preview_says_nothing_of_who_asked_first(site: RawSite, runtime: Runtime) -> None:
    first = f"{site.url}/film.mp4#ANNS-WORDS{SMUGGLED[1:]}"
    with runtime.unit_of_work() as db:
        asked = previews.request(db, runtime.settings, user_id=make_user(db).id, url=first).id

    assert run_next(runtime, preview_work.PREVIEW, preview_work.work)

    with runtime.unit_of_work() as db:
        row = previews.request(db, runtime.settings, user_id=make_user(db).id, url=f"{site.url}/film.mp4")
        assert (row.id, row.status) == (asked, "completed")
        said = json.dumps([row.url, row.result])
        assert "ANNS" not in said
        untouched(site, said)


class TestOverHttp:
    @pytest.fixture
    def people(self, runtime: Runtime) -> tuple[Person, Person]:
        door = Door(runtime)
        return door.person(), door.person()

    def test_each_is_shown_their_own_spelling(
        self, site: RawSite, runtime: Runtime, people: tuple[Person, Person]
    ) -> None:
        ann, ben = people
        spelled = [f"{site.url}/film.mp4#comments", f"{site.url}/film.mp4#t=10"]
        with runtime.unit_of_work() as db:
            previews.request(db, runtime.settings, user_id=ann.id, url=spelled[0])
        run_next(runtime, preview_work.PREVIEW, preview_work.work)

        found: list[dict[str, Any]] = [
            data_of(person.get(f"/youtube/metadata?url={quote(url, safe='')}"))
            for person, url in zip((ann, ben), spelled, strict=True)
        ]

        assert [each["url"] for each in found] == spelled
        assert [each["webpageUrl"] for each in found] == [f"{site.url}/film.mp4"] * 2
        with runtime.reading() as db:
            assert db.query(Preview).count() == 1
