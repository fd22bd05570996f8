"""A site that does everything wrong: each failure is told in words, none of it costs more than one attempt."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from engine.clients.fetch_errors import FAILURE_KINDS, FetchError
from engine.clients.fetch_signals import Fetched, FetchSpec, MetadataFound
from engine.clients.media.probe import probe
from engine.clients.ytdlp import requests as ytdlp_requests
from engine.clients.ytdlp.fetch import fetch
from engine.storage.filenames import final_name
from tests.fakes import lures
from tests.fakes.video_site import VideoSite

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


@pytest.fixture
def get(video_site: VideoSite, tmp_path: Path) -> Any:
    """Fetches a path of the site into this test's work folder; `titles` hears what it is called."""

    def fetching(path: str, *, titles: list[str] | None = None, **more: Any) -> Fetched:
        def emit(signal: Any) -> None:
            if titles is not None and isinstance(signal, MetadataFound):
                titles.append(signal.metadata.title)

        fixed = {"quality": "best", "format": "mp4", "embed": False, "socket_timeout": 1.0, "ffmpeg": FFMPEG}
        return fetch(
            FetchSpec(
                url=path if "://" in path.partition("?")[0] else video_site.url + path,
                work_dir=tmp_path / "work",
                **{**fixed, **more},
            ),
            emit,
        )

    return fetching


@pytest.mark.parametrize(
    ("path", "kind", "retry"),
    [
        ("/direct/a.mp4?reset=0", "network", "soon"),
        ("/direct/a.mp4?reset=20000&skip=1", "network", "soon"),
        ("/page/a?reset=100", "network", "soon"),
        ("/hls/a/master.m3u8?media.reset=5000", "network", "soon"),
        ("/direct/a.mp4?gate=for-ever&after=20000&skip=1", "network", "soon"),
        ("/page/a?gate=for-ever", "network", "soon"),
        ("/hls/a/master.m3u8?media.gate=for-ever", "network", "soon"),
        ("/direct/a.mp4?cut=20000&skip=1", "truncated", "soon"),
        ("/direct/a.mp4?length=9000000", "truncated", "soon"),
        ("/hls/a/master.m3u8?media.cut=5000", "truncated", "soon"),
        ("/dash/a/manifest.mpd?media.cut=100", "truncated", "soon"),
        ("/direct/a.mp4?status=403", "forbidden", "again_once"),
        ("/hls/a/master.m3u8?media.status=403", "forbidden", "again_once"),
        ("/dash/a/manifest.mpd?media.status=403", "forbidden", "again_once"),
        ("/hls/a/master.m3u8?media.status=404", "not_found", "never"),
        ("/direct/a.mp4?status=404&skip=1", "not_found", "never"),
        ("/direct/a.mp4?status=410&skip=1", "gone", "never"),
        ("/direct/a.mp4?status=416", "truncated", "soon"),
        ("/direct/a.mp4?status=401", "login", "never"),
        ("/direct/a.mp4?status=451", "geo", "never"),
        ("/page/a?status=429&retry_after=7", "rate_limited", "throttled"),
        ("/direct/a.mp4?status=429&skip=1", "rate_limited", "throttled"),
        *((f"/direct/a.mp4?status={status}", "upstream", "soon") for status in (500, 502, 503, 504, 520)),
        ("/direct/a.mp4?empty=1", "truncated", "soon"),
        ("/page/a?empty=1", "truncated", "soon"),
        ("/hls/a/144.m3u8?media.empty=1", "truncated", "soon"),
        ("/text/a?type=video/mp4", "not_media", "again_once"),
        ("/text/a?type=application/vnd.apple.mpegurl", "unreadable", "again_once"),
        ("/loop", "redirects", "again_once"),
        ("/redirect?to=ftp://127.0.0.1/a.mp4", "unsupported", "never"),
        ("/redirect?to=file:///etc/passwd", "unsupported", "never"),
        ("/away/video/x?to=file:///etc/passwd", "unsupported", "never"),
        ("/away/hls-segment/x?to=file:///etc/passwd", "unsupported", "never"),
    ],
)
def test_each_fault_is_told_in_words_and_tried_again_as_it_deserves(
    get: Any, path: str, kind: str, retry: str
) -> None:
    with pytest.raises(FetchError) as failed:
        get(path, socket_timeout=0.3 if "gate" in path or "length" in path else 3.0)

    error = failed.value
    assert (error.kind, error.retry) == (kind, retry), error.detail
    assert error.message == FAILURE_KINDS[kind].message
    assert error.advice
    assert error.retry_after == (7 if "retry_after" in path else None)


# --- what has no end --------------------------------------------------------------------------------------------

MEGABYTE = 1 << 20


@pytest.mark.parametrize(
    "path",
    [
        "/direct/a.mp4?endless=1",
        "/page/a?media.endless=1",
        "/hls/a/144.m3u8?media.endless=1",
        "/dash/a/manifest.mpd?media.endless=1",
    ],
)
def test_a_stream_without_an_end_is_ended_by_its_size(get: Any, tmp_path: Path, path: str) -> None:
    with pytest.raises(FetchError, match="too_large"):
        get(path, max_bytes=MEGABYTE)

    written = sum(file.stat().st_size for file in (tmp_path / "work").iterdir())
    assert written < 8 * MEGABYTE  # a block each for three fragments at once


def test_a_stream_that_drips_is_ended_by_its_time(get: Any) -> None:
    with pytest.raises(FetchError) as failed:
        get("/direct/a.mp4?size=5000000&rate=100000", max_seconds=0.3)

    assert (failed.value.kind, failed.value.retry) == ("too_slow", "soon")


@pytest.mark.parametrize(
    "path", ["/page/a?endless=1", "/hls/a/master.m3u8?endless=1", "/dash/a/manifest.mpd?endless=1"]
)
def test_a_page_without_an_end_is_not_read_to_it(
    get: Any, video_site: VideoSite, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(ytdlp_requests, "BODY_LIMIT", MEGABYTE)

    with pytest.raises(FetchError, match="unreadable"):
        get(path)


def test_compressed_zeros_are_counted_as_they_are_unpacked(get: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ytdlp_requests, "BODY_LIMIT", MEGABYTE)

    with pytest.raises(FetchError, match="unreadable"):
        get("/text/a?bomb=50000000", socket_timeout=20.0)


# --- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(lures.TITLES)))
def test_a_hostile_title_is_an_ordinary_file_name(get: Any, tmp_path: Path, number: int) -> None:
    titles: list[str] = []
    folder = tmp_path / "library"
    folder.mkdir()

    got = get(f"/titled/{number}", titles=titles, embed=number % 8 == 0)
    name = final_name(got.metadata.title, got.metadata.source_id, got.container)
    os.link(got.path, folder / name)

    assert [file.name for file in folder.iterdir()] == [name]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["library", "work"]
    assert len(os.fsencode(name)) <= 255
    assert not set(name) & set('/\\<>:"|?*\0\n\r\x1b\u202e')
    assert name.endswith(".mp4")
    assert name[0] not in " .-~"
    assert probe(folder / name).has_video
    assert titles == [got.metadata.title]
    titles[0].encode()  # what a database takes
    assert "\0" not in titles[0]


# --- a file that is another one later ---------------------------------------------------------------------------


@pytest.mark.parametrize("validator", ["", "&no_validator=1"])
def test_a_file_that_changed_between_two_attempts_is_begun_anew(
    get: Any, video_site: VideoSite, validator: str
) -> None:
    path = f"/direct/changing{len(validator)}.mp4"
    first = f"?size=3000000&skip=1&cut=1500000&rate=6000000{validator}"
    with pytest.raises(FetchError, match="truncated"):
        get(path + first)
    video_site.become(path, "direct/other.mp4?size=2500000")
    with suppress(FetchError):  # where only the size gives it away, this attempt finds out
        get(path + f"?x=1{validator}")

    got = get(path + f"?x=1{validator}")

    assert got.path.read_bytes() == video_site.body("/direct/other.mp4?size=2500000")


def test_the_rest_of_the_same_file_is_asked_for_on_condition(get: Any, video_site: VideoSite) -> None:
    path = "/direct/steady.mp4?size=2000000"
    with pytest.raises(FetchError, match="truncated"):
        get(f"{path}&skip=1&cut=900000")
    got = get(path)

    assert got.path.read_bytes() == video_site.body(path)
    resumed = [seen for seen in video_site.asked("/direct/steady.mp4") if seen.range]
    assert resumed
    assert all(seen.if_range for seen in resumed)
    assert all(seen.status == 206 for seen in resumed)


# --- not yet ----------------------------------------------------------------------------------------------------

NOT_YET = """<!DOCTYPE html><html><body><script>
var app = {"app_id": "x", "delivery_status": "PREPARING", "drm_mode": "OFF", "event_datetime_text": "tomorrow"};
</script></body></html>"""


def test_a_premiere_that_has_not_begun_is_waited_for(
    get: Any, video_site: VideoSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    video_site.pages["/ex/player"] = NOT_YET
    place = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", video_site.port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [place])

    with pytest.raises(FetchError) as failed:
        get(f"http://live.eplus.jp/ex/player?ib={'a' * 86}%3D%3D")

    assert (failed.value.kind, failed.value.retry) == ("live_not_started", "later")
    assert failed.value.message == "The premiere or live stream has not begun yet."
