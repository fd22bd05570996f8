"""How one stream gets from a site into a file: what is asked for, what is accepted, what is refused, in words."""

from __future__ import annotations

import threading
from base64 import b64encode

import pytest

from engine.clients.promises import Promise
from engine.clients.ytdlp import streams as ytdlp_streams
from tests.fakes import media
from tests.fakes.one_stream import Stream
from tests.fakes.piece_site import KEY, KINDS, PieceSite, encrypted, index
from tests.stack import eventually

SEGMENTS = ("144-000.ts", "144-001.ts", "144-002.ts", "144-003.ts")


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


def test_a_few_pieces_are_asked_for_at_once(stream: Stream, piece_site: PieceSite) -> None:
    names = [f"{name}?gate=once" for name in SEGMENTS]
    path = stream.playlist(*each(*names), name="once")
    thread = threading.Thread(target=stream, args=(path,))
    thread.start()

    eventually(lambda: piece_site.gate("once").held == 3)
    piece_site.release("once")
    thread.join(20)

    assert stream.body == TS(map(segment, range(4)))


def test_parts_of_one_file_without_their_ranges_are_refused(stream: Stream, piece_site: PieceSite) -> None:
    url = f"{piece_site.url}/pieces/dash-ranges/x/all.m4s"
    fragments = [{"url": url}, {"url": url, "duration": 1.0}, {"url": url, "duration": 1.0}]

    assert stream.fails("/x.mpd", protocol="http_dash_segments", fragments=fragments) == "unreadable"


@pytest.mark.parametrize(
    ("spoken", "durations", "seconds"),
    [("PT3.7S", [1.0, 1.0, 1.0, 1.0], 3.7), (None, [1.0, 1.0, 1.0, 1.0], None), (None, [1.0, 1.0, 0.7], 2.7)],
)
def test_what_a_manifest_promises_is_not_more_than_it_says(
    stream: Stream, piece_site: PieceSite, spoken: str | None, durations: list[float], seconds: float | None
) -> None:
    path = f"/pieces/dash-list/{stream.target.parent.name}/manifest.mpd"
    piece_site.playlists[path] = str(KINDS["dash-list"]()).replace("PT4S", spoken or "")
    folder = f"{piece_site.url}/pieces/dash-list/x"
    fragments = [{"url": f"{folder}/s{number}.m4s", "duration": d} for number, d in enumerate(durations)]
    more = {"protocol": "http_dash_segments", "manifest_url": piece_site.url + path}

    assert stream("/x.mpd", fragments=[{"url": f"{folder}/init.mp4"}, *fragments], **more).seconds == seconds


# --- what has no end --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["#EXT-X-PLAYLIST-TYPE:EVENT", ""])
def test_a_playlist_that_may_grow_is_live_whatever_the_extractor_said(stream: Stream, tag: str) -> None:
    path = stream.playlist(tag, *each(*SEGMENTS), ended=False)

    assert stream.fails(path, live_status="not_live", is_live=False) == "live_now"


def test_a_playlist_that_says_that_it_never_changes_has_an_end(stream: Stream) -> None:
    path = stream.playlist("#EXT-X-PLAYLIST-TYPE:VOD", *each("144-000.ts"), ended=False)

    assert stream(path).seconds == 1.0


def test_a_manifest_that_is_live_by_now_is_live(stream: Stream, piece_site: PieceSite) -> None:
    path = f"/pieces/dash-list/{stream.target.parent.name}/manifest.mpd"
    piece_site.playlists[path] = str(KINDS["dash-list"]()).replace('"static"', '"dynamic"')
    fragments = [{"url": f"{piece_site.url}/pieces/dash-list/x/s0.m4s", "duration": 1.0}]
    more = {"protocol": "http_dash_segments", "manifest_url": piece_site.url + path, "fragments": fragments}

    assert stream.fails(path, **more) == "live_now"


def test_a_radio_station_is_live_and_a_file_that_is_played_by_radio_software_is_a_file(
    stream: Stream,
) -> None:
    assert stream.fails("/direct/plain.mp3?icy=one&endless=1") == "live_now"
    assert stream("/direct/plain.mp3?icy=one").size == len(stream.body)


# --- which is what ----------------------------------------------------------------------------------------------


def test_a_playlist_behind_playlists_is_found_and_one_that_names_itself_ends(
    stream: Stream, piece_site: PieceSite
) -> None:
    media_path = stream.playlist(*each("144-000.ts"))
    master = media_path.replace("index", "master")
    head = '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="apart",NAME="x",URI="sound.m3u8"\n'
    apart = '#EXT-X-STREAM-INF:BANDWIDTH=900,AUDIO="apart"\nsilent.m3u8\n'
    piece_site.playlists[master] = (
        f"{head}{apart}#EXT-X-STREAM-INF:BANDWIDTH=1\nx.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=7\nindex.m3u8\n"
    )

    stream(master)
    assert stream.body == segment(0)

    ytdlp_streams.discard(stream.target)
    piece_site.playlists[master] = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=7\nmaster.m3u8\n"
    assert stream.fails(master) == "unreadable"


def test_a_playlist_that_is_called_a_film_and_a_film_that_is_called_a_playlist(
    stream: Stream, piece_site: PieceSite
) -> None:
    path = stream.playlist(*each("144-000.ts"))
    promise = stream(path, protocol="https")
    assert stream.body == segment(0)
    assert promise.fragmented

    ytdlp_streams.discard(stream.target)
    assert not stream("/direct/plain.mp4", protocol="m3u8_native").fragmented
    assert stream.body == piece_site.body("/direct/plain.mp4")
