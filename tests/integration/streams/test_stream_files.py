"""How a stream that is one file gets from a site to us, how a piece is known again, and what an answer is."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from yt_dlp.networking import Request  # type: ignore[import-untyped]
from yt_dlp.networking.exceptions import HTTPError  # type: ignore[import-untyped]

from engine.clients.fetch_errors import FetchError
from engine.clients.fetch_signals import FetchSpec
from engine.clients.promises import Promise
from engine.clients.streams import source as stream_source
from engine.clients.streams.plan import Piece
from engine.clients.ytdlp import requests as ytdlp_requests
from engine.clients.ytdlp import streams as ytdlp_streams
from engine.clients.ytdlp.extract import youtube_dl
from tests.fakes.one_stream import Stream
from tests.fakes.piece_site import PieceSite

# --- a file -----------------------------------------------------------------------------------------------------


def test_a_site_that_gives_little_a_connection_is_asked_until_all_is_there(stream: Stream) -> None:
    path = "/direct/little.mp4?size=1500000&most=150000"

    assert stream(path).size == 1_500_000

    assert stream.body == stream.site.body(path)
    starts = [int(seen.range.split("=")[1].rstrip("-")) for seen in stream.requests(path) if seen.range]
    assert starts == sorted(set(starts))
    assert len(starts) > 3  # more than would be granted if they had brought nothing


def test_a_site_that_gets_nobody_further_is_given_up(stream: Stream) -> None:
    path = "/direct/nofurther.mp4?size=1500000&most=150000&no_range=1"

    assert stream.fails(path) == "truncated"
    assert len(stream.requests(path)) <= 9


def test_without_a_name_for_its_version_the_bytes_themselves_are_compared(
    stream: Stream, piece_site: PieceSite
) -> None:
    path = "/direct/unnamed.mp4"
    assert stream.fails(f"{path}?size=900000&no_validator=1&cut=500000") == "truncated"
    piece_site.become(path, "/direct/another.mp4?size=900000")

    stream(f"{path}?no_validator=1")

    assert stream.body == piece_site.body("/direct/another.mp4?size=900000")


def test_what_ended_without_a_promised_length_is_known_as_such_until_it_is_discarded(stream: Stream) -> None:
    path = "/direct/unpromised.mp4?no_length=1"
    first = stream(path, vcodec="avc1")

    again = stream(path)

    assert first == again == Promise(video=True)
    assert len(stream.requests(path)) == 1
    ytdlp_streams.discard(stream.target)
    assert list(stream.target.parent.iterdir()) == []
    stream(path)
    assert len(stream.requests(path)) == 2


def test_what_comes_compressed_is_stored_as_it_is(stream: Stream) -> None:
    promise = stream("/direct/packed.mp4?bomb=0")

    assert stream.body == stream.site.body("/direct/packed.mp4")
    assert promise.size is None


@pytest.mark.parametrize("size", [500_000, 400_000])
def test_a_site_that_slows_down_who_asks_for_much_is_asked_for_parts(stream: Stream, size: int) -> None:
    path = f"/direct/chunks{size}.mp4?size={size}"

    assert stream(path, downloader_options={"http_chunk_size": 200_000}).size == size

    assert stream.body == stream.site.body(path)
    asked = [seen.range for seen in stream.requests(path)]
    last = "400000-499999" if size == 500_000 else None
    assert asked == [f"bytes={span}" for span in ("0-199999", "200000-399999", last) if span]


def test_a_format_that_must_not_be_resumed_is_begun_anew(stream: Stream) -> None:
    path = "/direct/anew.mp4?size=900000"
    assert stream.fails(f"{path}&cut=500000") == "truncated"
    before = len(stream.requests(path))

    stream(path, no_resume=True)

    assert [seen.range for seen in stream.requests(path)[before:]] == [None]


def test_headers_of_the_format_are_sent(stream: Stream) -> None:
    stream("/direct/headers.mp4", http_headers={"User-Agent": "a player", "Range": "bytes=0-"})

    (seen,) = stream.requests("/direct/headers.mp4")
    assert (seen.user_agent, seen.range) == ("a player", "bytes=0-")


# --- answers ----------------------------------------------------------------------------------------------------


def test_the_page_of_an_error_is_not_read_without_an_end_either(
    piece_site: PieceSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ytdlp_requests, "BODY_LIMIT", 3)
    url = f"{piece_site.url}/direct/error.mp4?status=500"
    spec = FetchSpec(url=url, quality="best", format="mp4", work_dir=tmp_path, ffmpeg="")

    with youtube_dl(spec) as ydl:
        with pytest.raises(HTTPError) as failed:
            ydl.urlopen(url)
        with pytest.raises(FetchError, match="unreadable"):
            failed.value.response.read()


def test_an_answer_is_readable_without_a_name_and_closes_when_nobody_holds_it(
    piece_site: PieceSite, tmp_path: Path
) -> None:
    url = f"{piece_site.url}/direct/nameless.mp4"
    spec = FetchSpec(url=url, quality="best", format="mp4", work_dir=tmp_path, ffmpeg="")
    with youtube_dl(spec) as ydl:
        assert ydl.urlopen(Request(url)).read() == piece_site.body("/direct/nameless.mp4")
        assert ydl.urlopen(url).read(9) == piece_site.body("/direct/nameless.mp4")[:9]
        answer = ydl.urlopen(url)
        inner = answer.fp
        gc.disable()
        try:
            del answer
            assert inner.closed
        finally:
            gc.enable()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://a/seg.ts?n=5&token=x", "http://b/seg.ts?n=5&token=y", True),
        ("http://a/seg.ts?n=5", "http://a/seg.ts?n=6", False),
        ("http://a/seg.ts?range=0-99999999", "http://a/seg.ts?range=100000000-199999999", False),
        ("http://a/seg.ts?x=1764230400", "http://a/seg.ts?x=1764236400", True),
        (f"http://a/seg.ts?x={'a' * 64}", f"http://a/seg.ts?x={'b' * 64}", True),
        ("http://a/one/seg.ts", "http://a/two/seg.ts", False),
        ("http://a/hdntl=exp=1~hmac=aa/seg.ts", "http://a/hdntl=exp=2~hmac=bb/seg.ts", True),
        ("http://a/videoplayback/expire/1/itag/96/sig/a/sq/3/f.ts", "http://b/videoplayback/expire/2/itag/96/sig/b/sq/3/f.ts", True),
        ("http://a/videoplayback/expire/1/itag/96/sq/3/f.ts", "http://a/videoplayback/expire/1/itag/96/sq/4/f.ts", False),
    ],
)  # fmt: skip
def test_a_piece_is_known_again_by_what_it_is_and_not_by_who_may_have_it(
    one: str, other: str, same: bool
) -> None:
    assert (Piece(one, 3, seconds=1.0).fingerprint == Piece(other, 3, seconds=1.0).fingerprint) is same
    assert Piece(one, 3).fingerprint != Piece(one, 4).fingerprint


def test_a_date_is_a_validator_only_if_it_lies_before_the_answer() -> None:
    date, later = "Fri, 27 Nov 2026 10:00:00 GMT", "Fri, 27 Nov 2026 10:00:01 GMT"

    assert stream_source._validator({"ETag": '"strong"', "Last-Modified": date}) == '"strong"'
    assert stream_source._validator({"ETag": 'W/"weak"', "Last-Modified": date, "Date": later}) == date
    assert stream_source._validator({"Last-Modified": date, "Date": date}) is None
    assert stream_source._validator({"Last-Modified": "soon", "Date": later}) is None
