"""A file is whole or it is not completed: right files of all containers pass, damaged ones are told apart."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.clients.fetch_errors import FetchError
from engine.clients.media import probe as media_probe
from engine.clients.media.examination import Examined, examine
from engine.clients.media.probe import NotMediaError, probe
from engine.clients.promises import Promise
from tests.fakes import containers, media
from tests.fakes.containers import boxes, made, patched

# Nothing in them says where they end: a WAV written to a pipe, packets of MPEG-TS cut between two of them.
ENDLESS = {"piped.wav", "bluray.m2ts"}
# Their header, or index, says how long they are, so that half of one is known even where the server says "all of it".
TELLING = [
    "faststart.mp4", "plain.mp4", "indexed.mp4", "picture-last.mp4", "late-sound.mp4", "uneven.mp4", "plain.mkv",
    "long-subtitle.mkv", "plain.webm", "plain.mov", "plain.avi", "plain.flv", "plain.wmv", "plain.m4a",
    "constant.mp3", "variable.mp3", "plain.flac", "plain.wav",
]  # fmt: skip
SECONDS = {
    "trimmed.mp4": 4.45, "late-sound.mp4": 8.0, "one-frame.mp4": 0.1,
}  # fmt: skip


def look(path: Path, promise: Promise | None = None, told: float | None = None) -> Examined:
    return examine(path, promise or Promise(), lambda: None, told=told)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def written(body: bytes) -> Path:
        path = tmp_path / "file.media"
        path.write_bytes(body)
        return path

    return written


def refused(path: Path, promise: Promise | None = None) -> str:
    """The kind of the failure."""
    with pytest.raises((FetchError, NotMediaError)) as failed:
        look(path, promise)
    error = failed.value
    return error.kind if isinstance(error, FetchError) else "not_media"


# --- right files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", containers.RECIPES)
def test_a_whole_file_passes_and_its_length_is_measured(name: str) -> None:
    path = made(name)
    for size in (None, path.stat().st_size):
        found = look(path, Promise(size=size))
    assert found.seconds == pytest.approx(SECONDS.get(name, containers.SECONDS), abs=0.12)


def _longer(body: bytes, path: str, at: int, add: int) -> bytes:
    return patched(body, boxes(body, path) + at, lambda number: number + add)


CLAIMS: dict[str, Callable[[bytes], bytes]] = {
    "a track that is said to be half a second longer": lambda b: _longer(b, "moov/trak/mdia/mdhd", 24, 5120),
    "a film that is said to be twice as long": lambda b: _longer(b, "moov/mvhd", 24, 6000),
    "a last box that is said to be larger": lambda b: _longer(b, "mdat", 0, 1000),
    "zeros behind the end": lambda b: b + bytes(1000),
    "a foreign tag behind the end": lambda b: b + b"TAG" + b"x" * 125,
    "free space": lambda b: b + struct.pack(">I4s", 100, b"free") + bytes(92),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_header_that_claims_slightly_more_costs_nothing(write: Callable[[bytes], Path], claim: str) -> None:
    path = write(CLAIMS[claim](made("faststart.mp4").read_bytes()))

    found = look(path, Promise(size=path.stat().st_size, seconds=6.3, video=True, audio=True))

    assert found.seconds == pytest.approx(6, abs=0.1)


def test_what_a_page_tells_of_the_length_counts_only_where_nothing_better_is_known() -> None:
    assert look(made("plain.mp4"), told=3600).seconds == pytest.approx(6, abs=0.1)
    with pytest.raises(FetchError, match=r"after 6\.0 of 3600\.0 seconds"):
        look(made("plain.ts"), told=3600)


# --- damaged files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.5, 0.97])
@pytest.mark.parametrize("name", sorted(set(containers.RECIPES) - ENDLESS - {"one-frame.mp4", "plain.flac"}))
def test_a_part_of_a_file_is_refused(write: Callable[[bytes], Path], name: str, share: float) -> None:
    whole = made(name).read_bytes()

    assert refused(write(whole[: int(len(whole) * share)])) == "truncated"


@pytest.mark.parametrize("name", TELLING)
def test_half_a_file_is_refused_also_where_the_site_has_no_more(
    write: Callable[[bytes], Path], name: str
) -> None:
    whole = made(name).read_bytes()
    half = whole[: len(whole) // 2]

    assert refused(write(half), Promise(size=len(half))) == "truncated"


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(name=st.sampled_from(TELLING), share=st.floats(0.02, 0.78))
def test_wherever_more_than_a_second_is_cut_off_it_is_seen(
    write: Callable[[bytes], Path], name: str, share: float
) -> None:
    whole = made(name).read_bytes()

    assert refused(write(whole[: int(len(whole) * share)])) == "truncated"


def test_a_cut_between_two_frames_is_known_by_the_first_one(write: Callable[[bytes], Path]) -> None:
    path = made("constant.mp3")
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux() if packet.pos is not None]
    part = path.read_bytes()[: places[len(places) // 2]]

    with pytest.raises(FetchError, match=r"after 3\.\d of 6\.\d seconds"):
        look(write(part), Promise(size=len(part)))


def test_a_cut_between_two_pages_is_known_by_the_missing_mark(write: Callable[[bytes], Path]) -> None:
    whole = made("plain.opus").read_bytes()
    part = whole[: whole.rindex(b"OggS")]

    assert refused(write(part)) == "truncated"
    look(write(part), Promise(size=len(part)))  # a recording of the radio has no mark either


def test_the_failure_says_how_much_is_there(write: Callable[[bytes], Path]) -> None:
    whole = made("faststart.mp4").read_bytes()

    with pytest.raises(FetchError, match=r"The file ends after 2\.\d of 6\.0 seconds\.") as failed:
        look(write(whole[: len(whole) // 2]))

    assert failed.value.retry == "soon"


@pytest.mark.parametrize("body", [b"", b"\0" * 4096, b"<html>nothing</html>" * 99, b"\xff\xd8\xff\xe0" * 999])
def test_what_is_no_media_is_none(write: Callable[[bytes], Path], body: bytes) -> None:
    assert refused(write(body)) == "not_media"


# --- against the playlist ---------------------------------------------------------------------------------------


def pieces(*numbers: int) -> bytes:
    return b"".join((media.hls() / f"144-00{number}.ts").read_bytes() for number in numbers)


WHOLE = Promise(seconds=4.0, video=True, audio=True, fragmented=True)


@pytest.mark.parametrize(
    ("numbers", "kind", "words"),
    [
        ((0, 1, 2, 3), None, ""),
        ((0, 1, 0, 1, 2, 3), "mismatch", r"sent 6\.\d seconds instead of 4\.0"),
        ((0, 1, 2, 3, 0, 1, 2, 3), "mismatch", r"sent 8\.\d seconds instead of 4\.0"),
        ((0, 1), "truncated", "after 2.0 of 4.0 seconds"),
        ((0, 3), "incomplete", "Between second 1.0 and 3.0 nothing was sent"),
        ((0, 1, 3), "incomplete", "Between second 2.0 and 3.0 nothing was sent"),
    ],
)
def test_pieces_are_held_against_the_length_of_the_playlist(
    write: Callable[[bytes], Path], numbers: tuple[int, ...], kind: str | None, words: str
) -> None:
    path = write(pieces(*numbers))

    if kind is None:
        look(path, WHOLE)
    else:
        with pytest.raises(FetchError, match=words) as failed:
            look(path, WHOLE)
        assert failed.value.kind == kind


@pytest.mark.parametrize(
    ("name", "promise", "kind"),
    [
        ("silent.mp4", Promise(video=True, audio=True), "incomplete"),
        ("silent.mp4", Promise(video=True, audio=False), None),
        ("plain.m4a", Promise(video=True), "incomplete"),
        ("short-sound.mp4", Promise(video=True, audio=True, seconds=6), None),  # its own header says so
        ("plain.mp4", Promise(size=10), "mismatch"),
        ("plain.mp4", Promise(size=10_000_000), "truncated"),
        ("plain.mp3", Promise(), None),
    ],
)
def test_a_stream_is_held_against_what_was_said_of_it(name: str, promise: Promise, kind: str | None) -> None:
    path = made(name) if name in containers.RECIPES else media.sample("mp3")

    if kind is None:
        look(path, promise)
    else:
        assert refused(path, promise) == kind


def test_sound_that_stops_halfway_is_missed(tmp_path: Path) -> None:
    path = tmp_path / "half.ts"
    film = str(made("plain.mp4"))
    media.ffmpeg("-i", film, "-t", "2", "-i", film, "-map", "0:v", "-map", "1:a", "-c", "copy", str(path))

    with pytest.raises(FetchError, match=r"The sound ends after 2\.\d of 6\.0 seconds"):
        look(path, Promise(seconds=6, video=True, audio=True, fragmented=True))


# --- headers that cannot be true --------------------------------------------------------------------------------


def box(kind: str, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind.encode()) + body


def numbers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


MANY = 89_000_000


def movie(handler: str = "vide", **tables: bytes) -> bytes:
    """A film of one track with these sample tables in place of ordinary ones."""
    ordinary = {
        "stts": numbers(0, 1, 2, 512), "stsc": numbers(0, 1, 1, 2, 1), "stsz": numbers(0, 10, 2),
        "stco": numbers(0, 1, 40),
    }  # fmt: skip
    table = box("stbl", box("stsd", numbers(0, 0)), *(box(k, v) for k, v in {**ordinary, **tables}.items()))
    track = box(
        "trak", box("mdia", box("hdlr", numbers(0, 0), handler.encode(), bytes(13)), box("minf", table))
    )
    return (
        box("ftyp", b"isom", bytes(4)) + box("moov", box("mvhd", bytes(100)), track) + box("mdat", bytes(64))
    )


IMPOSSIBLE = {
    "samples of one size": movie(stsz=numbers(0, 10, MANY), stts=numbers(0, 1, MANY, 512)),
    "samples of one byte": movie(stsz=numbers(0, 1, MANY), stts=numbers(0, 1, MANY, 512)),
    "a table longer than its box": movie(stsz=numbers(0, 0, MANY, 1, 1)),
    "behind a box that nobody knows": box("abcd", bytes(9)) + movie(stts=numbers(0, 1, MANY, 1)),
    "half-byte sizes": movie(stsz=numbers(0, 10, 2), stz2=numbers(0, 4, MANY)),
    "times": movie(stts=numbers(0, 1, MANY, 1)),
    "offsets of times": movie(ctts=numbers(0, 1, MANY, 1)),
    "times in many runs": movie(stts=numbers(0, 4, *(MANY, 1) * 4)),
    "chunks": movie(stco=numbers(0, MANY, 40)),
    "sound of one tick a sample": movie("soun", stsz=numbers(0, 1, MANY), stts=numbers(0, 1, MANY, 1)),
    "a run of a fragment": movie()
    + box("moof", box("traf", box("tfhd", numbers(0, 1)), box("trun", numbers(0, MANY)))),
    "a run with a table": movie() + box("moof", box("traf", box("trun", numbers(0x200, MANY, 1, 1)))),
    "a box larger than its parent": box("ftyp", b"isom", bytes(4)) + box("moov", numbers(MANY), b"trak"),
    "a packed header": box("ftyp", b"isom", bytes(4))
    + box("moov", box("cmov", box("cmvd", numbers(1 << 31)))),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_counts_that_the_bytes_cannot_hold_are_refused_before_they_are_believed(
    write: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr("av.open", lambda *_, **__: pytest.fail("it was given to FFmpeg"))

    assert refused(write(IMPOSSIBLE[what])) == "not_media"


def test_a_picture_larger_than_any_screen_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_probe, "MOST_PIXELS", 64 * 48 - 1)

    with pytest.raises(NotMediaError, match="64 x 48 pixels"):
        probe(made("plain.mp4"))
