"""How one stream gets from a site into a file: what is asked for, what is accepted, what is refused, in words."""

from __future__ import annotations

import gc
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from yt_dlp.networking import Request  # type: ignore[import-untyped]
from yt_dlp.networking.exceptions import HTTPError  # type: ignore[import-untyped]

from engine.clients import stream_source, ytdlp_requests, ytdlp_streams
from engine.clients.fetch_error import FetchError
from engine.clients.promises import Promise
from engine.clients.stream_plan import Piece
from engine.clients.ytdlp_errors import classify
from engine.clients.ytdlp_extract import youtube_dl
from engine.clients.ytdlp_signals import FetchSpec
from tests.fakes import media
from tests.fakes.piece_site import KEY, KINDS, PieceSite, encrypted, index, playlist
from tests.fakes.video_site import Seen
from tests.stack import eventually

SEGMENTS = ("144-000.ts", "144-001.ts", "144-002.ts", "144-003.ts")


@pytest.fixture(scope="module")
def site() -> Iterator[PieceSite]:
    with PieceSite() as running:
        yield running


class Stream:
    """One stream of the site and the folder it is fetched into."""

    def __init__(self, site: PieceSite, folder: Path) -> None:
        self.site, self.target = site, folder / "film.media"
        self.told: list[dict[str, Any]] = []

    def __call__(self, path: str, **more: Any) -> Promise:
        """Fetch it, as an attempt does; a failure is classified."""
        url = self.site.url + path
        spec = FetchSpec(
            url=url, quality="best", format="mp4", work_dir=self.target.parent, ffmpeg="", socket_timeout=2
        )
        hls = {"protocol": "m3u8_native"} if ".m3u8" in path else {}
        try:
            with youtube_dl(spec) as ydl:
                return ytdlp_streams.download(
                    ydl, {"url": url, **hls, **more}, self.target, lambda s: self.told.append(dict(s))
                )
        except FetchError:
            raise
        except Exception as error:
            raise classify(error) from error

    def playlist(self, *lines: str, name: str = "film", ended: bool = True) -> str:
        """The path of a playlist of these lines."""
        path = f"/pieces/ts/{self.target.parent.name}-{name}/index.m3u8"
        self.site.playlists[path] = playlist(*lines, ended=ended)
        return path

    def fails(self, path: str, **more: Any) -> str:
        """The kind of failure."""
        with pytest.raises(FetchError) as failed:
            self(path, **more)
        return failed.value.kind

    @property
    def body(self) -> bytes:
        return self.target.read_bytes()

    def requests(self, path: str) -> list[Seen]:
        return self.site.asked(path.partition("?")[0])


@pytest.fixture
def stream(site: PieceSite, tmp_path: Path) -> Stream:
    return Stream(site, tmp_path)


def segment(number: int) -> bytes:
    return (media.hls() / SEGMENTS[number]).read_bytes()


def each(*names: str) -> list[str]:
    return [line for name in names for line in ("#EXTINF:1.0,", name)]


TS = b"".join
DASH = {kind for kind in KINDS if kind.startswith("dash")}


# --- in pieces --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in DASH | {"plain"}])
def test_every_kind_of_playlist_gives_the_bytes_that_are_meant(stream: Stream, kind: str) -> None:
    promise = stream(f"/pieces/{kind}/film/{index(kind)}", vcodec="avc1", acodec="none")

    parts = ["init-stream0.m4s", *(f"chunk-stream0-0000{number}.m4s" for number in range(1, 5))]
    fragments = TS((media.dash() / part).read_bytes() for part in parts)
    whole = fragments if "fmp4" in kind or "dash" in kind else TS(map(segment, range(4)))
    assert stream.body == whole
    size = len(whole) if kind.startswith("ranges") else None
    assert promise == Promise(seconds=4.0, size=size, video=True, audio=False, fragmented=True)
    assert stream.told[-1]["downloaded_bytes"] == len(whole)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("no_range=1", None),
        ("no_range=1&no_length=1", "unreadable"),
        ("length=50000&no_range=1", "truncated"),
    ],
)
def test_a_site_that_sends_the_whole_for_a_range_is_cut_to_it_only_where_that_is_right(
    stream: Stream, words: str, kind: str | None
) -> None:
    text = KINDS["ranges-ts"]()
    assert isinstance(text, str)
    path = stream.playlist(*text.replace("all.ts", f"/pieces/ranges-ts/x/all.ts?{words}").splitlines()[4:-1])

    if kind:
        assert stream.fails(path) == kind
        assert not stream.target.exists()
    else:
        assert stream(path).size == len(stream.body)
        assert stream.body == TS(map(segment, range(4)))


def test_a_range_that_lies_is_asked_for_as_a_whole(stream: Stream) -> None:
    length = len(segment(0))
    path = stream.playlist(
        "#EXTINF:1,", f"#EXT-X-BYTERANGE:{length}@0", "/pieces/ranges-ts/x/all.ts?shift=188"
    )

    stream(path)

    assert stream.body == segment(0)
    asked = [seen for seen in stream.requests("/pieces/ranges-ts/x/all.ts") if "shift" in seen.query]
    assert [seen.range is None for seen in asked] == [False, True]


def test_a_range_that_goes_on_from_nothing_is_refused(stream: Stream) -> None:
    path = stream.playlist("#EXTINF:1,", "#EXT-X-BYTERANGE:500", "/pieces/ranges-ts/x/all.ts")

    assert stream.fails(path) == "unreadable"


MAP, OTHER = '#EXT-X-MAP:URI="/pieces/fmp4/a/init.mp4"', '#EXT-X-MAP:URI="/dash/a/init-stream1.m4s"'
AGAIN = '#EXT-X-MAP:URI="/pieces/fmp4/b/init.mp4"'


@pytest.mark.parametrize(
    "second", [MAP, AGAIN, None], ids=["the same", "under another name", "in its address"]
)
def test_an_initialisation_section_that_comes_again_is_there_once(stream: Stream, second: str | None) -> None:
    lines = each("/pieces/fmp4/a/s0.m4s", "/pieces/fmp4/a/s1.m4s")
    if second is None:
        body = (media.dash() / "init-stream0.m4s").read_bytes()
        second = f'#EXT-X-MAP:URI="data:video/mp4;base64,{b64encode(body).decode()}"'

    stream(stream.playlist(MAP, *lines[:2], "#EXT-X-DISCONTINUITY", second, *lines[2:]))

    names = ("init-stream0.m4s", "chunk-stream0-00001.m4s", "chunk-stream0-00002.m4s")
    assert stream.body == TS((media.dash() / name).read_bytes() for name in names)


def test_another_initialisation_section_is_told_at_once(stream: Stream) -> None:
    first = "/pieces/fmp4/early/s0.m4s"
    path = stream.playlist(
        MAP, *each(first), "#EXT-X-DISCONTINUITY", OTHER, *each("/dash/a/chunk-stream1-00001.m4s")
    )

    assert stream.fails(path) == "spliced"
    assert not stream.requests(first)


def test_another_initialisation_section_inside_a_segment_is_noticed(stream: Stream) -> None:
    path = stream.playlist(MAP, *each("/pieces/fmp4/a/s0.m4s", "/dash/a/init-stream1.m4s"))

    assert stream.fails(path) == "spliced"


def test_what_the_site_says_that_it_has_not_is_left_out(stream: Stream) -> None:
    lines = each(*(f"/pieces/ts/gap/{name}" for name in SEGMENTS))

    promise = stream(stream.playlist(*lines[:2], "#EXT-X-GAP", "#EXTINF:1.0,", "/nowhere.ts", *lines[4:]))

    assert promise.seconds == 3.0
    assert stream.body == TS([segment(0), segment(2), segment(3)])


ONE, NONE = '#EXT-X-KEY:METHOD=AES-128,URI="key.bin"', "#EXT-X-KEY:METHOD=NONE"
WIDEVINE = (
    '#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,URI="data:,x",KEYFORMAT="urn:uuid:edef8ba9",KEYFORMATVERSIONS="1"'
)


@pytest.mark.parametrize(
    "lines",
    [
        [ONE, *each("/pieces/aes-ts/a/144-000.ts"), NONE, *each("144-001.ts"), ONE, *each("/pieces/aes-ts/a/144-002.ts")],
        [WIDEVINE, ONE, *each("/pieces/aes-ts/a/144-000.ts", "/pieces/aes-ts/a/144-001.ts", "/pieces/aes-ts/a/144-002.ts")],
        ["#EXTINF:1.0,two\u2028lines", "144-000.ts", *each("144-001.ts", "144-002.ts")],
        ["#EXT-X-PROGRAM-DATE-TIME:soon", "#EXT-X-TARGETDURATION:x", *each("144-000.ts", "144-001.ts", "144-002.ts")],
    ],
    ids=["keys come and go", "one of two keys is plain", "a line end that is none", "decoration with mistakes"],
)  # fmt: skip
def test_keys_and_tags_of_all_kinds(stream: Stream, lines: list[str]) -> None:
    stream(stream.playlist(*lines))

    assert stream.body == TS(map(segment, range(3)))


def test_a_section_that_is_not_encrypted_although_it_should_be(stream: Stream) -> None:
    path = stream.playlist(f"{ONE},IV=0x7", MAP, *each("/pieces/aes-fmp4-iv/a/s0.m4s"))

    stream(path)

    names = ("init-stream0.m4s", "chunk-stream0-00001.m4s")
    assert stream.body == TS((media.dash() / name).read_bytes() for name in names)


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ([WIDEVINE, *each("144-000.ts")], "drm"),
        (['#EXT-X-KEY:METHOD=SAMPLE-AES,URI="key.bin"', *each("144-000.ts")], "drm"),
        (['#EXT-X-KEY:METHOD=AES-128,URI="skd://key"', *each("144-000.ts")], "drm"),
        (['#EXT-X-KEY:METHOD=AES-128,URI="144.m3u8"', *each("144-000.ts")], "not_found"),
        (['#EXT-X-KEY:METHOD=AES-128,URI="/text/key"', *each("144-000.ts")], "unreadable"),
        ([ONE, *each("144-000.ts")], "truncated"),
        (each("/text/page"), "not_media"),
        (each("144-000.ts?cut=9000"), "truncated"),
        (each("144-000.ts?no_length=1&most=9000"), "truncated"),
        (each("144-000.ts?status=403"), "forbidden"),
        (["144-000.ts", "#EXTINF:1,", "144-001.ts"], "unreadable"),
        (["#EXT-X-BYTERANGE:0@0", "#EXTINF:1,", "144-000.ts"], "unreadable"),
        (["#EXT-X-I-FRAMES-ONLY", *each("144-000.ts")], "no_format"),
        (["#EXT-X-GAP", *each("144-000.ts")], "no_format"),
        (each("http://[bad/144-000.ts"), "unreadable"),
        (each(*(f"{number}.ts" for number in range(200_001))), "too_large"),
        (["#" + "x" * 70_000, *each("144-000.ts")], "unreadable"),
    ],
)
def test_what_can_not_be_right_is_refused_in_words(stream: Stream, lines: list[str], kind: str) -> None:
    assert stream.fails(stream.playlist(*lines)) == kind
    assert not stream.target.exists()


def test_a_wrong_key_is_noticed(stream: Stream) -> None:
    wrong = encrypted(segment(0), bytes(16))[:-16]
    assert len(wrong) % 16 == 0
    path = stream.playlist(
        '#EXT-X-KEY:METHOD=AES-128,URI="data:,0123456789abcdef"', *each("/pieces/aes-ts/a/144-000.ts")
    )

    assert stream.fails(path) == "unreadable"
    assert len(KEY) == 16


def test_lengths_that_are_none_promise_nothing(stream: Stream) -> None:
    promise = stream(stream.playlist("#EXTINF:soon,", "144-000.ts", "#EXTINF:1.5,", "144-001.ts"))

    assert promise.seconds is None
    assert stream.body == TS(map(segment, range(2)))


def test_a_piece_that_breaks_is_gone_on_with(stream: Stream) -> None:
    path = stream.playlist(*each("144-000.ts?most=9000"), name="breaks")

    stream(path)

    assert stream.body == segment(0)
    asked = stream.requests(f"/pieces/ts/{stream.target.parent.name}-breaks/144-000.ts")
    assert [seen.range is None for seen in asked] == [True] + [False] * (len(asked) - 1)


def test_a_few_pieces_are_asked_for_at_once(stream: Stream, site: PieceSite) -> None:
    names = [f"{name}?gate=once" for name in SEGMENTS]
    path = stream.playlist(*each(*names), name="once")
    thread = threading.Thread(target=stream, args=(path,))
    thread.start()

    eventually(lambda: site.gate("once").held == 3)
    site.release("once")
    thread.join(20)

    assert stream.body == TS(map(segment, range(4)))


def test_parts_of_one_file_without_their_ranges_are_refused(stream: Stream, site: PieceSite) -> None:
    url = f"{site.url}/pieces/dash-ranges/x/all.m4s"
    fragments = [{"url": url}, {"url": url, "duration": 1.0}, {"url": url, "duration": 1.0}]

    assert stream.fails("/x.mpd", protocol="http_dash_segments", fragments=fragments) == "unreadable"


@pytest.mark.parametrize(
    ("spoken", "durations", "seconds"),
    [("PT3.7S", [1.0, 1.0, 1.0, 1.0], 3.7), (None, [1.0, 1.0, 1.0, 1.0], None), (None, [1.0, 1.0, 0.7], 2.7)],
)
def test_what_a_manifest_promises_is_not_more_than_it_says(
    stream: Stream, site: PieceSite, spoken: str | None, durations: list[float], seconds: float | None
) -> None:
    path = f"/pieces/dash-list/{stream.target.parent.name}/manifest.mpd"
    site.playlists[path] = str(KINDS["dash-list"]()).replace("PT4S", spoken or "")
    folder = f"{site.url}/pieces/dash-list/x"
    fragments = [{"url": f"{folder}/s{number}.m4s", "duration": d} for number, d in enumerate(durations)]
    more = {"protocol": "http_dash_segments", "manifest_url": site.url + path}

    assert stream("/x.mpd", fragments=[{"url": f"{folder}/init.mp4"}, *fragments], **more).seconds == seconds


# --- what has no end --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["#EXT-X-PLAYLIST-TYPE:EVENT", ""])
def test_a_playlist_that_may_grow_is_live_whatever_the_extractor_said(stream: Stream, tag: str) -> None:
    path = stream.playlist(tag, *each(*SEGMENTS), ended=False)

    assert stream.fails(path, live_status="not_live", is_live=False) == "live_now"


def test_a_playlist_that_says_that_it_never_changes_has_an_end(stream: Stream) -> None:
    path = stream.playlist("#EXT-X-PLAYLIST-TYPE:VOD", *each("144-000.ts"), ended=False)

    assert stream(path).seconds == 1.0


def test_a_manifest_that_is_live_by_now_is_live(stream: Stream, site: PieceSite) -> None:
    path = f"/pieces/dash-list/{stream.target.parent.name}/manifest.mpd"
    site.playlists[path] = str(KINDS["dash-list"]()).replace('"static"', '"dynamic"')
    fragments = [{"url": f"{site.url}/pieces/dash-list/x/s0.m4s", "duration": 1.0}]
    more = {"protocol": "http_dash_segments", "manifest_url": site.url + path, "fragments": fragments}

    assert stream.fails(path, **more) == "live_now"


def test_a_radio_station_is_live_and_a_file_that_is_played_by_radio_software_is_a_file(
    stream: Stream,
) -> None:
    assert stream.fails("/direct/plain.mp3?icy=one&endless=1") == "live_now"
    assert stream("/direct/plain.mp3?icy=one").size == len(stream.body)


# --- which is what ----------------------------------------------------------------------------------------------


def test_a_playlist_behind_playlists_is_found_and_one_that_names_itself_ends(
    stream: Stream, site: PieceSite
) -> None:
    media_path = stream.playlist(*each("144-000.ts"))
    master = media_path.replace("index", "master")
    head = '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="apart",NAME="x",URI="sound.m3u8"\n'
    apart = '#EXT-X-STREAM-INF:BANDWIDTH=900,AUDIO="apart"\nsilent.m3u8\n'
    site.playlists[master] = (
        f"{head}{apart}#EXT-X-STREAM-INF:BANDWIDTH=1\nx.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=7\nindex.m3u8\n"
    )

    stream(master)
    assert stream.body == segment(0)

    ytdlp_streams.discard(stream.target)
    site.playlists[master] = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=7\nmaster.m3u8\n"
    assert stream.fails(master) == "unreadable"


def test_a_playlist_that_is_called_a_film_and_a_film_that_is_called_a_playlist(
    stream: Stream, site: PieceSite
) -> None:
    path = stream.playlist(*each("144-000.ts"))
    promise = stream(path, protocol="https")
    assert stream.body == segment(0)
    assert promise.fragmented

    ytdlp_streams.discard(stream.target)
    assert not stream("/direct/plain.mp4", protocol="m3u8_native").fragmented
    assert stream.body == site.body("/direct/plain.mp4")


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
    stream: Stream, site: PieceSite
) -> None:
    path = "/direct/unnamed.mp4"
    assert stream.fails(f"{path}?size=900000&no_validator=1&cut=500000") == "truncated"
    site.become(path, "/direct/another.mp4?size=900000")

    stream(f"{path}?no_validator=1")

    assert stream.body == site.body("/direct/another.mp4?size=900000")


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
    site: PieceSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ytdlp_requests, "WHOLE_LIMIT", 3)
    url = f"{site.url}/direct/error.mp4?status=500"
    spec = FetchSpec(url=url, quality="best", format="mp4", work_dir=tmp_path, ffmpeg="")

    with youtube_dl(spec) as ydl:
        with pytest.raises(HTTPError) as failed:
            ydl.urlopen(url)
        with pytest.raises(FetchError, match="unreadable"):
            failed.value.response.read()


def test_an_answer_is_readable_without_a_name_and_closes_when_nobody_holds_it(
    site: PieceSite, tmp_path: Path
) -> None:
    url = f"{site.url}/direct/nameless.mp4"
    spec = FetchSpec(url=url, quality="best", format="mp4", work_dir=tmp_path, ffmpeg="")
    with youtube_dl(spec) as ydl:
        assert ydl.urlopen(Request(url)).read() == site.body("/direct/nameless.mp4")
        assert ydl.urlopen(url).read(9) == site.body("/direct/nameless.mp4")[:9]
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
    assert (Piece(one, 3, seconds=1.0).asked == Piece(other, 3, seconds=1.0).asked) is same
    assert Piece(one, 3).asked != Piece(one, 4).asked


def test_a_date_is_a_validator_only_if_it_lies_before_the_answer() -> None:
    date, later = "Fri, 27 Nov 2026 10:00:00 GMT", "Fri, 27 Nov 2026 10:00:01 GMT"

    assert stream_source._validator({"ETag": '"strong"', "Last-Modified": date}) == '"strong"'
    assert stream_source._validator({"ETag": 'W/"weak"', "Last-Modified": date, "Date": later}) == date
    assert stream_source._validator({"Last-Modified": date, "Date": date}) is None
    assert stream_source._validator({"Last-Modified": "soon", "Date": later}) is None
