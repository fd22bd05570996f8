"""What of yt-dlp a transfer leans on is as it was when the transfer was written; red here means: read its downloaders."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from yt_dlp.downloader import dash, fragment, hls, http  # type: ignore[import-untyped]
from yt_dlp.networking import Request, Response  # type: ignore[import-untyped]
from yt_dlp.networking.exceptions import (  # type: ignore[import-untyped]
    CertificateVerifyError,
    HTTPError,
    IncompleteRead,
    RequestError,
    TransportError,
)
from yt_dlp.utils import determine_protocol, parse_duration, update_url_query  # type: ignore[import-untyped]

from engine.clients.fetch_signals import FetchSpec
from engine.clients.ytdlp.extract import chosen_streams, extract, youtube_dl
from tests.fakes.piece_site import PieceSite, index

# Fields of a format that yt-dlp's downloaders read. Left alone: what belongs to live streams, consoles, ffmpeg or itself.
READ = {
    *(
        "url",
        "http_headers",
        "request_data",
        "fragments",
        "fragment_base_url",
        "hls_media_playlist_data",
        "hls_aes",
    ),
    *("extra_param_to_segment_url", "extra_param_to_key_url", "downloader_options"),
}
LEFT = {
    *(
        "is_live",
        "is_from_start",
        "protocol",
        "ext",
        "id",
        "extractor_key",
        "has_drm",
        "format_index",
        "filepath",
    ),
    *("requested_formats", "ctx_id", "frag_resume_len", "filetime", "impersonate"),
}
FIELD = re.compile(r"(?:info_dict|fmt)(?:\.get\(|\[)'(\w+)'|traverse_obj\(info_dict, \(\(?'(\w+)'")


def test_its_downloaders_read_no_field_that_we_do_not_know() -> None:
    sources = [inspect.getsource(module) for module in (dash, fragment, hls, http)]

    found = {name for text in sources for names in FIELD.findall(text) for name in names if name}

    assert READ - found == set()
    assert found - READ - LEFT == set()


def test_the_names_that_are_used_mean_what_they_meant() -> None:
    assert determine_protocol({"url": "https://x/a.m3u8"}) == "m3u8_native"
    assert determine_protocol({"url": "https://x/a.mp4"}) == "https"
    assert determine_protocol({"url": "x", "protocol": "http_dash_segments"}) == "http_dash_segments"
    assert parse_duration("PT1H2M3.5S") == 3723.5
    assert update_url_query("https://x/a?b=1", {"c": ["2"]}) == "https://x/a?b=1&c=2"
    assert list(inspect.signature(Request).parameters)[:3] == ["url", "data", "headers"]
    assert list(inspect.signature(Response.read).parameters) == ["self", "amt"]
    assert issubclass(IncompleteRead, TransportError)
    assert issubclass(CertificateVerifyError, TransportError)
    assert issubclass(HTTPError, RequestError)
    assert not issubclass(HTTPError, TransportError)


@pytest.mark.parametrize(
    ("kind", "protocol"), [("dash-list", "http_dash_segments"), ("ts", "m3u8_native"), ("plain", "http")]
)
def test_a_chosen_format_has_what_a_transfer_needs(
    piece_site: PieceSite, tmp_path: Path, kind: str, protocol: str
) -> None:
    url = f"{piece_site.url}/pieces/{kind}/film/{index(kind)}"
    with youtube_dl(FetchSpec(url=url, quality="best", format="mp4", work_dir=tmp_path, ffmpeg="")) as ydl:
        (stream,) = chosen_streams(extract(ydl, url))

    assert determine_protocol(stream) == protocol
    assert stream["url"] == url
    assert "User-Agent" in stream["http_headers"]
    if kind == "dash-list":
        assert stream["manifest_url"] == url
        assert [bool(part.get("url") or part.get("path")) for part in stream["fragments"]] == [True] * 5
        assert [part.get("duration") for part in stream["fragments"]] == [None, 1.0, 1.0, 1.0, 1.0]
        assert "duration" not in stream["fragments"][0]


def test_an_answer_can_be_read_in_blocks_and_says_where_it_came_from(
    piece_site: PieceSite, tmp_path: Path
) -> None:
    url = f"{piece_site.url}/direct/surface.mp4?size=200000"
    request = Request(f"{piece_site.url}/redirect?to={url}", None, {"Range": "bytes=5-9", "If-Range": '"no"'})
    with (
        youtube_dl(FetchSpec(url=url, quality="best", format="mp4", work_dir=tmp_path, ffmpeg="")) as ydl,
        ydl.urlopen(request) as answer,
    ):
        assert answer.status == 200
        assert answer.headers.get("content-length") == "200000"
        assert answer.url == url
        assert [len(answer.read(150_000)), len(answer.read(150_000)), len(answer.read(9))] == [
            150_000,
            50_000,
            0,
        ]
    (seen,) = piece_site.asked("/direct/surface.mp4")
    assert (seen.range, seen.if_range) == ("bytes=5-9", '"no"')


def test_an_error_of_the_site_has_its_status_and_its_headers(piece_site: PieceSite, tmp_path: Path) -> None:
    url = f"{piece_site.url}/direct/wrong.mp4?status=503&retry_after=7"
    spec = FetchSpec(url=url, quality="best", format="mp4", work_dir=tmp_path, ffmpeg="")
    with youtube_dl(spec) as ydl, pytest.raises(HTTPError) as failed:
        ydl.urlopen(Request(url))

    assert failed.value.status == 503
    assert failed.value.response.headers.get("Retry-After") == "7"
    failed.value.close()
