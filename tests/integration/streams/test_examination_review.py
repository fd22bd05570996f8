"""Right files that a strict eye takes for damaged: trimmed films, clocks that jump, lengths that nobody filled in."""

from __future__ import annotations

import socket
import struct
import subprocess
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import pytest

from engine.clients.fetch_errors import FetchError
from engine.clients.fetch_signals import Fetched, FetchSpec
from engine.clients.media import ffmpeg, ffmpeg_run
from engine.clients.media.examination import Examined, check_result, examine
from engine.clients.media.ffmpeg_plan import sources
from engine.clients.promises import Promise
from engine.clients.ytdlp.fetch import fetch
from tests.fakes import media
from tests.fakes.containers import boxes, source
from tests.fakes.file_site import FileSite
from tests.fakes.one_stream import Stream
from tests.fakes.piece_site import PieceSite
from tests.fakes.raw_site import RawSite, head

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
TINY = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-bf", "0")


def look(path: Path, promise: Promise | None = None) -> Examined:
    return examine(path, promise or Promise(), lambda: None)


def get(url: str, folder: Path, container: str = "mp4") -> Fetched:
    spec = FetchSpec(
        url=url, quality="best", format=container, work_dir=folder, ffmpeg=FFMPEG, socket_timeout=5.0
    )
    return fetch(spec, lambda _: None)


# --- edit lists -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trimmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of 6 s with one key frame, cut without encoding: all of its picture is there, the last 1.5 s are shown."""
    folder = tmp_path_factory.mktemp("trimmed")
    film = str(source("film"))
    media.ffmpeg("-i", film, *TINY, "-g", "600", "-c:a", "copy", str(folder / "x.mp4"))
    media.ffmpeg("-ss", "4.5", "-i", str(folder / "x.mp4"), "-c", "copy", str(folder / "ss.mp4"))
    return folder / "ss.mp4"


def shown(path: Path) -> float:
    """Seconds that a player shows of a file: from its first to its last decoded picture or sound."""
    with av.open(str(path)) as container:
        times = [
            (float(each.pts * each.time_base), each.samples / each.rate if isinstance(each, av.AudioFrame) else 0.1)
            for each in container.decode()
            if isinstance(each, av.AudioFrame | av.VideoFrame) and each.pts is not None and each.time_base
        ]  # fmt: skip
    return max(at + length for at, length in times) - min(at for at, _ in times)


def test_a_trimmed_film_is_as_long_as_it_plays(trimmed: Path) -> None:
    found = look(trimmed, Promise(size=trimmed.stat().st_size))

    assert found.contents.covered == pytest.approx(6, abs=0.2)  # what the edit list leaves out is there
    assert found.seconds == pytest.approx(shown(trimmed), abs=0.15) == pytest.approx(1.5, abs=0.15)


@pytest.mark.parametrize(("container", "seconds"), [("mp4", 1.5), ("mkv", 6.0), ("mp3", 1.5)])
def test_a_trimmed_film_is_completed(
    file_site: FileSite, trimmed: Path, tmp_path: Path, container: str, seconds: float
) -> None:
    """Matroska has no edit lists, so what can't be cut off without encoding is shown in it."""
    file_site.files["/trimmed.mp4"] = trimmed.read_bytes()

    got = get(f"{file_site.url}/trimmed.mp4", tmp_path, container)

    assert got.path.suffix == f".{container}"
    assert got.duration == pytest.approx(shown(got.path), abs=0.15) == pytest.approx(seconds, abs=0.15)


def test_a_film_made_of_a_trimmed_one_is_a_right_source(trimmed: Path, tmp_path: Path) -> None:
    """ffmpeg writes the second of sound before the cut into the length of the Matroska file, and not the sound."""
    film, target = tmp_path / "of-trimmed.mkv", tmp_path / "result.mp4"
    media.ffmpeg("-i", str(trimmed), "-c", "copy", str(film))

    streams = [look(film, Promise(size=film.stat().st_size))]
    plan = ffmpeg.produce(FFMPEG, streams, "mp4", target, embedding=None, tick=lambda _: None)

    check_result(look(target), sources(plan, streams))


def test_a_part_of_a_trimmed_film_is_still_cut(trimmed: Path, tmp_path: Path) -> None:
    whole, part = trimmed.read_bytes(), tmp_path / "part.mp4"
    part.write_bytes(whole[: len(whole) // 2])

    with pytest.raises(FetchError) as failed:
        look(part, Promise(size=len(whole) // 2))

    assert failed.value.kind == "truncated"


# --- clocks that jump -------------------------------------------------------------------------------------------


def fragments(*, jump: int, after: int, times: int = 1) -> bytes:
    """A film of four fragments of one second; behind the first `after` of them its clock jumps by that many seconds."""
    start = (media.dash() / "init-stream0.m4s").read_bytes()
    rate = struct.unpack_from(">I", start, boxes(start, "moov/trak/mdia/mdhd") + 20)[0]
    pieces = []
    for number in range(1, 5):
        piece = (media.dash() / f"chunk-stream0-0000{number}.m4s").read_bytes()
        at = boxes(piece, "moof/traf/tfdt") + 12
        (clock,) = struct.unpack_from(">Q", piece, at)
        moved = struct.pack(">Q", clock + (jump * rate if number > after else 0))
        pieces.append(piece[:at] + moved + piece[at + 8 :])
    return start + b"".join(pieces * times)


def stream_pieces(folder: Path, *, jump: int, after: int, times: int = 1) -> bytes:
    """The same in MPEG-TS, with sound."""
    pieces = []
    for number in range(4):
        path = folder / f"{jump}-{number}.ts"
        offset = str(jump if number >= after else 0)
        original = str(media.hls() / f"144-00{number}.ts")
        clock = ("-copyts", "-muxdelay", "0", "-muxpreload", "0", "-output_ts_offset", offset)
        media.ffmpeg("-i", original, "-c", "copy", *clock, str(path))
        pieces.append(path.read_bytes())
    return b"".join(pieces * times)


KINDS: dict[str, Callable[..., bytes]] = {
    "fragments": lambda _, **how: fragments(**how),
    "MPEG-TS": stream_pieces,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_jump_of_the_clock_is_no_film_sent_twice(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "film.media"
    promise = Promise(seconds=4.0, video=True, fragmented=True)
    path.write_bytes(KINDS[kind](tmp_path, jump=4, after=2))

    assert look(path, promise).contents.covered == pytest.approx(8, abs=0.3)  # what was cut out is a hole

    path.write_bytes(KINDS[kind](tmp_path, jump=0, after=4, times=2))
    with pytest.raises(FetchError, match=r"sent [78]\.\d seconds instead of 4\.0") as failed:
        look(path, promise)
    assert failed.value.kind == "mismatch"


# --- lengths that nobody filled in, or that are rounded ---------------------------------------------------------


def test_an_avi_that_was_written_to_a_pipe_is_right(tmp_path: Path) -> None:
    film = ("-i", str(source("film")), "-c:v", "copy", "-c:a", "libmp3lame", "-b:a", "64k")
    program = [FFMPEG, "-loglevel", "error", *film, "-f", "avi", "-"]
    path = tmp_path / "piped.avi"
    path.write_bytes(subprocess.run(program, stdout=subprocess.PIPE, check=True).stdout)

    for size in (None, path.stat().st_size):
        assert look(path, Promise(size=size)).seconds == pytest.approx(6, abs=0.2)


@pytest.fixture(scope="module")
def rounded(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Five pieces of 1.6 s each."""
    folder = tmp_path_factory.mktemp("rounded")
    film = (
        "-stream_loop",
        "-1",
        "-i",
        str(source("film")),
        "-t",
        "8",
        *TINY,
        "-g",
        "16",
        "-sc_threshold",
        "0",
    )
    media.ffmpeg(
        *film,
        "-c:a",
        "aac",
        "-f",
        "hls",
        "-hls_time",
        "1.6",
        "-hls_playlist_type",
        "vod",
        str(folder / "x.m3u8"),
    )
    return [path.read_bytes() for path in sorted(folder.glob("*.ts"))]


def test_a_playlist_in_whole_seconds_is_completed(
    file_site: FileSite, rounded: list[bytes], tmp_path: Path
) -> None:
    """By the playlist the film has 10 seconds, by what is sent 8."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:2", "#EXT-X-TARGETDURATION:2"]
    for number, piece in zip(count(), rounded, strict=False):
        file_site.files[f"/rounded-{number}.ts"] = piece
        lines += ["#EXTINF:2,", f"rounded-{number}.ts"]
    file_site.files["/rounded.m3u8"] = "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()
    file_site.headers["/rounded.m3u8"] = {"Content-Type": "application/vnd.apple.mpegurl"}

    got = get(f"{file_site.url}/rounded.m3u8", tmp_path)

    assert len(rounded) == 5
    assert got.duration == pytest.approx(8, abs=0.2)


@pytest.mark.parametrize(("length", "unsure"), [("1", 2.0), ("1.0", 0.0)])
def test_only_whole_numbers_are_unsure(tmp_path: Path, length: str, unsure: float) -> None:
    with PieceSite() as pieces:
        stream = Stream(pieces, tmp_path)
        names = [f"/pieces/ts/whole/144-00{number}.ts" for number in range(4)]
        lines = [line for name in names for line in (f"#EXTINF:{length},a name with a . in it", name)]

        promise = stream(stream.playlist(*lines))

    assert (promise.seconds, promise.unsure) == (4.0, unsure)


# --- sound without a container, streams of discs ----------------------------------------------------------------

DISCS: dict[str, tuple[str, ...]] = {
    "48.ac3": ("-vn", "-ar", "48000", "-c:a", "ac3", "-b:a", "192k"),
    "44.ac3": ("-vn", "-ar", "44100", "-c:a", "ac3", "-b:a", "96k"),
    "32.ac3": ("-vn", "-ar", "32000", "-c:a", "ac3", "-b:a", "64k"),
    "plain.eac3": ("-vn", "-c:a", "eac3", "-b:a", "96k"),
    "first.mpg": ("-r", "25", "-c:v", "mpeg1video", "-c:a", "mp2", "-f", "mpeg"),
    "second.vob": ("-r", "25", "-c:v", "mpeg2video", "-c:a", "ac3", "-f", "vob"),
    "disc.vob": ("-r", "25", "-c:v", "mpeg2video", "-c:a", "mp2", "-f", "dvd"),
}


@pytest.mark.parametrize("name", DISCS)
def test_half_of_what_has_no_index_is_told_from_the_whole(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    media.ffmpeg("-i", str(source("film")), *DISCS[name], str(path))
    whole = path.read_bytes()

    end = b"\0\0\1\xb9" if b"\0\0\1\xba" in whole[:4] else b"TAG" + bytes(125)
    for behind in (b"", end, bytes(1000), b"\xff"):
        path.write_bytes(whole + behind)
        assert look(path).contents.covered == pytest.approx(6, abs=0.3)
    for share in (0.31, 0.5, 0.97):
        path.write_bytes(whole[: int(len(whole) * share) | 1])  # sizes are even, so inside of a unit
        with pytest.raises(FetchError, match="in the middle of its data") as failed:
            look(path)
        assert failed.value.kind == "truncated"


# --- memory -----------------------------------------------------------------------------------------------------


def test_ffmpeg_that_may_take_no_more_memory_is_out_of_memory(tmp_path: Path) -> None:
    program = tmp_path / "bounded"
    program.write_text(f'#!/bin/sh\nulimit -d 100000\nexec {FFMPEG} "$@"\n')
    program.chmod(0o755)
    picture = ("-f", "lavfi", "-i", "color=size=7680x4320:rate=5:duration=1")

    with pytest.raises(MemoryError):
        ffmpeg_run.run([str(program), *picture, "-c:v", "mjpeg", "-f", "null", "-"], None, lambda _: None)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("[mp4 @ 0x1] Error muxing a packet: Cannot allocate memory", None),
        ("Memory allocation error occurred", None),
        ("[vf#0:0 @ 0x1] pthread_create() failed: Resource temporarily unavailable", None),
        ("av_interleaved_write_frame(): No space left on device", "disk_full"),
        ("Invalid data found when processing input", "processing"),
    ],
)
def test_the_last_words_of_ffmpeg_tell_why(tmp_path: Path, words: str, kind: str | None) -> None:
    program = tmp_path / "failing"
    program.write_text(f"#!/bin/sh\necho '{words}' >&2\nexit 1\n")
    program.chmod(0o755)

    with pytest.raises((FetchError, MemoryError)) as failed:
        ffmpeg_run.run([str(program)], None, lambda _: None)

    assert getattr(failed.value, "kind", None) == kind


# --- redirects --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http:", ""])
def test_a_redirect_to_a_host_in_letters_of_any_script_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    resolve = socket.getaddrinfo

    def resolved(host: Any, *how: Any, **more: Any) -> Any:
        known = host in {"xn--bcher-kva.example", b"xn--bcher-kva.example"}
        return resolve("127.0.0.1" if known else host, *how, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    with RawSite() as raw:
        body = media.named_mp4("host").read_bytes()
        port, path = raw.url.rpartition(":")[2], "/gr%C3%B6%C3%9Fe.mp4"
        raw.answers[path] = [head(type="video/mp4", Content_Length=str(len(body))), body]
        location = f"{scheme}//bücher.example:{port}/größe.mp4".encode()
        raw.answers["/away"] = [
            b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
        ]

        got = get(f"{raw.url}/away", tmp_path)

        assert got.duration == pytest.approx(media.SECONDS, abs=0.1)
        assert f"Host: xn--bcher-kva.example:{port}" in raw.said[path]
