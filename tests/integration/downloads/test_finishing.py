"""From local streams to a finished file: nothing is lost on the way, and no extra ends the whole."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.clients.fetch_errors import FetchError
from engine.clients.fetch_signals import Fetched, FetchSpec, metadata_of
from engine.clients.media import ffmpeg
from engine.clients.media.embedding import Chapter, Embedding, chapters_of, ffmetadata, tags_of
from engine.clients.media.examination import Examined, check_result, examine
from engine.clients.media.ffmpeg_plan import sources
from engine.clients.media.probe import probe
from engine.clients.media.shared_clock import delays
from engine.clients.promises import Promise
from engine.clients.ytdlp.cover import cover_of
from engine.clients.ytdlp.extract import youtube_dl
from engine.clients.ytdlp.fetch import fetch
from tests.fakes import containers, media
from tests.fakes.containers import made, source
from tests.fakes.file_site import FileSite

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def look(path: Path) -> Examined:
    return examine(path, Promise(), lambda: None)


Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a file of a container of local files, as the end of a download does."""

    def produced(container: str, *paths: Path, embedding: Embedding | None = None) -> Path:
        target = tmp_path / f"result.{container}"
        streams = [look(path) for path in paths]
        plan = ffmpeg.produce(FFMPEG, streams, container, target, embedding=embedding, tick=lambda _: None)
        check_result(look(target), sources(plan, streams))
        return target

    return produced


def streams_of(path: Path) -> list[tuple[str, str | None, str | None, bool]]:
    """Kind, language, title and default mark of each stream, but for chapters."""
    with av.open(str(path)) as container:
        return [
            (
                each.type,
                each.metadata.get("language"),
                each.metadata.get("title") or each.metadata.get("name"),
                bool(each.disposition & av.stream.Disposition.default),
            )
            for each in container.streams
            if each.type != "data"
        ]


def tone(path: Path, number: int = 0) -> int:
    """The pitch of a sound in Hz, to the next 10."""
    crossings = samples = before = 0
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=44100)
        for frame in container.decode(container.streams.audio[number]):
            for part in resampler.resample(frame):
                values = memoryview(bytes(part.planes[0])[: part.samples * 2]).cast("h")
                for value in values:
                    crossings += (value >= 0) != (before >= 0)
                    before = value
                samples += len(values)
            if samples > 60000:
                break
    return round(crossings / 2 / (samples / 44100) / 10) * 10


def starts(path: Path) -> tuple[float, float]:
    """Where picture and sound begin, in seconds."""
    with av.open(str(path)) as container:
        first: dict[str, float] = {}
        for packet in container.demux(container.streams.video[0], container.streams.audio[0]):
            if packet.pts is not None:
                now = float(packet.pts * packet.time_base)
                first[packet.stream.type] = min(now, first.get(packet.stream.type, now))
    return first["video"], first["audio"]


# --- sounds, subtitles, fonts -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Films with a commentary (880 Hz) before the main sound (440 Hz), and subtitles; the MKV has a font as well."""
    folder = tmp_path_factory.mktemp("several")
    font = folder / "letters.ttf"
    font.write_bytes(b"\0\1\0\0" + bytes(200))
    second = folder / "second.m4a"
    media.ffmpeg(
        "-f", "lavfi", "-i", f"sine=frequency=880:duration={containers.SECONDS}", "-c:a", "aac", str(second)
    )
    inputs = ("-i", source("film"), "-i", second, "-i", source("subtitles"))
    mapped = ("-map", "0:v", "-map", "1:a", "-map", "0:a", "-map", "2:s", "-c:v", "copy", "-c:a", "copy")
    told = (
        *("-metadata:s:a:0", "language=eng", "-metadata:s:a:0", "title=Director's commentary"),
        *("-metadata:s:a:1", "language=deu", "-metadata:s:a:1", "title=Haupt = Ton"),
        *("-metadata:s:s:0", "language=fra", "-disposition:a:0", "0"),
    )
    untitled = ("-metadata:s:a:0", "title=", "-metadata:s:a:1", "title=")
    font_too = ("-attach", font, "-metadata:s:t", "mimetype=application/x-truetype-font")
    for name, more in {
        "mp4": ("-c:s", "mov_text", "-disposition:a:1", "default"),
        "mkv": ("-c:s", "srt", "-disposition:a:1", "default", *font_too),
        "untitled.mp4": ("-c:s", "mov_text", "-disposition:a:1", "default", *untitled),
        "unmarked.mkv": ("-c:s", "ass", "-disposition:a:1", "0", "-default_mode", "passthrough"),
    }.items():
        media.ffmpeg(*map(str, (*inputs, *mapped, *told, *more, folder / f"several.{name}")))
    return {name: folder / f"several.{name}" for name in ("mp4", "mkv", "untitled.mp4", "unmarked.mkv")}


@pytest.mark.parametrize(
    ("name", "container"),
    [
        ("mp4", "mp4"), ("mp4", "mkv"), ("mp4", "webm"), ("mkv", "mp4"), ("mkv", "mkv"), ("unmarked.mkv", "mp4"),
    ],
)  # fmt: skip
def test_all_sounds_and_subtitles_are_kept_and_the_main_one_comes_first(
    make: Make, several: dict[str, Path], name: str, container: str
) -> None:
    got = make(container, several[name])

    found = streams_of(got)
    assert [each[0] for each in found][:4] == ["video", "audio", "audio", "subtitle"]
    assert [each[1] for each in found][1:4] == ["deu", "eng", "fra"]
    assert [each[2] for each in found][1:3] == ["Haupt = Ton", "Director's commentary"]
    assert found[1][3] >= found[2][3]
    assert (tone(got, 0), tone(got, 1)) == (440, 880)
    assert ("attachment" in [each[0] for each in found]) == ((name, container) == ("mkv", "mkv"))
    with av.open(str(got)) as opened:
        texts = b" ".join(bytes(packet) for packet in opened.demux(opened.streams.subtitles[0]))
    assert b"Hello" in texts


@pytest.mark.parametrize(
    ("name", "container"), [("mp4", "mp3"), ("untitled.mp4", "m4a"), ("unmarked.mkv", "opus")]
)
def test_of_several_sounds_the_main_one_is_extracted(
    make: Make, several: dict[str, Path], name: str, container: str
) -> None:
    got = make(container, several[name])

    assert [each[0] for each in streams_of(got)] == ["audio"]
    assert tone(got) == 440


def test_a_file_of_several_sounds_is_no_file_of_one(tmp_path: Path, several: dict[str, Path]) -> None:
    both = tmp_path / "both.m4a"
    media.ffmpeg("-i", str(several["mp4"]), "-map", "0:a", "-c", "copy", str(both))

    assert probe(both).container == "m4a"
    assert not ffmpeg.fits("m4a", probe(both))


def test_subtitles_made_of_pictures_stay_where_they_fit_and_fail_nothing_elsewhere(
    make: Make, tmp_path: Path
) -> None:
    empty = struct.pack(">HHBHBBBB", 64, 48, 16, 0, 0x80, 0, 0, 0)  # a screen without a picture, and its end
    marks = b"".join(
        b"PG" + struct.pack(">IIBH", second * 90000, 0, kind, len(data)) + data
        for second in (1, 2)
        for kind, data in ((0x16, empty), (0x80, b""))
    )
    (tmp_path / "marks.sup").write_bytes(marks)
    film = tmp_path / "film.mkv"
    media.ffmpeg(
        "-i",
        str(made("plain.mkv")),
        "-i",
        str(tmp_path / "marks.sup"),
        "-map",
        "0",
        "-map",
        "1",
        "-c",
        "copy",
        str(film),
    )
    assert [track.codec for track in probe(film).tracks] == ["h264", "aac", "hdmv_pgs_subtitle"]

    assert [each[0] for each in streams_of(make("mkv", film))] == ["video", "audio", "subtitle"]
    assert [each[0] for each in streams_of(make("mp4", film))] == ["video", "audio"]


@pytest.mark.parametrize(("name", "container"), [("pictured.mp3", "m4a"), ("pictured.mp3", "mp4")])
def test_the_cover_of_a_file_comes_along(make: Make, name: str, container: str) -> None:
    assert probe(make(container, made(name))).has_picture


def test_a_film_without_sound_has_none_to_extract(make: Make) -> None:
    with pytest.raises(FetchError) as failed:
        make("mp3", made("silent.mp4"))

    assert (failed.value.kind, failed.value.message) == ("processing", "The video has no sound to extract.")


def test_fonts_and_a_cover_stand_beside_each_other(make: Make, several: dict[str, Path]) -> None:
    got = make("mkv", several["mkv"], embedding=Embedding(cover=source("cover")))

    with av.open(str(got)) as opened:
        names = sorted(each.metadata["filename"] for each in opened.streams if "filename" in each.metadata)
    assert names == ["cover.jpg", "letters.ttf"]


def test_a_sound_that_a_header_names_and_nothing_belongs_to_fails_nothing(make: Make, tmp_path: Path) -> None:
    hollow = tmp_path / "hollow.mkv"
    with av.open(str(made("plain.mkv"))) as film, av.open(str(hollow), "w") as out:
        copies = [out.add_stream_from_template(each) for each in film.streams]
        for packet in film.demux(film.streams.video[0]):
            if packet.dts is not None:
                packet.stream = copies[0]
                out.mux(packet)

    assert [each[0] for each in streams_of(make("webm", hollow))] == ["video"]
    with pytest.raises(FetchError, match="no sound to extract"):
        make("mp3", hollow)


# --- one clock --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A picture or a sound alone that begins at a second of its clock, as MPEG-TS or as fragmented MP4."""
    folder = tmp_path_factory.mktemp("apart")

    def begun(kind: str, at: float, form: str, seconds: float = containers.SECONDS) -> Path:
        path = folder / f"{kind}-{at}-{seconds}.{form}"
        if path.exists():
            return path
        only = "-an" if kind == "video" else "-vn"
        common = ("-t", str(seconds), "-i", str(source("film")), only, "-c", "copy")
        if form == "ts":
            media.ffmpeg(*common, "-muxdelay", "0", "-output_ts_offset", str(at), str(path))
        elif form == "aac":
            media.ffmpeg(*common, str(path))
        else:
            media.ffmpeg(*common, "-movflags", "+frag_keyframe+empty_moov+default_base_moof", str(path))
            path.write_bytes(_later(path.read_bytes(), at))
        return path

    return begun


def _later(body: bytes, seconds: float) -> bytes:
    """A fragmented MP4 whose fragments are on a clock that is further on."""
    scale = struct.unpack_from(">I", body, containers.boxes(body, "moov/trak/mdia/mdhd") + 20)[0]
    at = -1
    while (at := body.find(b"tfdt", at + 1)) >= 0:
        (time,) = struct.unpack_from(">Q", body, at + 8)
        body = body[: at + 8] + struct.pack(">Q", time + round(seconds * scale)) + body[at + 16 :]
    return body


@pytest.mark.parametrize(
    ("container", "form", "picture", "sound"),
    [
        ("mp4", "ts", 10.0, 11.5), ("mp4", "ts", 11.5, 10.0), ("mp4", "mp4", 10.0, 11.5), ("mp4", "mp4", 11.5, 10.0),
        ("mkv", "mp4", 10.0, 11.5), ("mkv", "ts", 11.5, 10.0), ("webm", "ts", 10.0, 11.5), ("webm", "mp4", 11.5, 10.0),
    ],
)  # fmt: skip
def test_what_begins_later_on_the_common_clock_does_so_in_the_result(
    make: Make, apart: Callable[..., Path], container: str, form: str, picture: float, sound: float
) -> None:
    got = make(container, apart("video", picture, form), apart("audio", sound, form, 4.5))

    first = starts(got)
    assert first[1] - first[0] == pytest.approx(sound - picture, abs=0.06)
    assert min(first) == pytest.approx(0, abs=0.06)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (("video", 10.0, "ts"), ("audio", 0.0, "ts"), [0, 0]),  # equally long and far apart
        (("video", 10.0, "ts"), ("audio", 0.0, "aac"), [0, 0]),  # no clock at all
        (("video", 0.0, "ts"), ("audio", 5.5, "ts", 3.0), [0, 0]),  # hardly overlapping
        (("video", 95443.0, "ts"), ("audio", 0.7823, "ts"), [0, 1.5]),  # the clock began anew between the two
        (
            ("video", 95383.0, "ts"),
            ("audio", 95384.5, "ts"),
            [0, 1.5],
        ),  # FFmpeg counts the second from behind
        (("video", 10.0, "mp4"), ("audio", 11.0, "mp4", 5.0), [0, 1.0]),
    ],
)
def test_streams_on_different_clocks_begin_together(
    apart: Callable[..., Path], one: Any, other: Any, expected: list[float]
) -> None:
    assert delays([look(apart(*one)), look(apart(*other))]) == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("container", ["mkv", "webm", "mp4"])
def test_sound_that_begins_late_within_one_file_stays_late(make: Make, container: str) -> None:
    picture, sound = starts(make(container, made("late-sound.mp4")))

    assert sound - picture == pytest.approx(2.0, abs=0.06)


# --- extras -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", ["mp4", "mp3", "mkv"])
def test_a_cover_that_ffmpeg_refuses_costs_the_cover_alone(
    make: Make, tmp_path: Path, container: str
) -> None:
    cover = tmp_path / "cover.png"
    cover.write_bytes(b"\x89PNG\r\n\x1a\n")
    if container == "mkv":
        cover.unlink()

    got = make(container, made("plain.mp4"), embedding=Embedding(tags={"title": "Still here"}, cover=cover))

    assert probe(got).has_picture is False
    with av.open(str(got)) as opened:
        assert opened.metadata["title"] == "Still here"


def test_subtitles_that_can_not_be_read_cost_the_subtitles_alone(
    make: Make, several: dict[str, Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(
        several["unmarked.mkv"].read_bytes().replace(b"[Script Info]", b"[\xff\xfe\0\0\0\0\0\0\0\0\0]")
    )

    found = streams_of(make("mp4", broken, embedding=Embedding(tags={"title": "x"})))

    assert [each[0] for each in found][:3] == ["video", "audio", "audio"]


# --- texts of strangers -----------------------------------------------------------------------------------------


TEXTS = st.text(
    st.one_of(st.sampled_from("\r\n\\=;#[]\x85\u2028\u2029\t\x0b\x0c'\" a"), st.characters(exclude_categories=["Cs", "Cc"])),
    min_size=1, max_size=60,
).filter(str.strip)  # fmt: skip


@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(texts=st.lists(TEXTS, min_size=3, max_size=3))
@pytest.mark.parametrize("container", ["mp4", "mkv", "mp3"])
def test_every_text_comes_out_as_it_went_in(make: Make, container: str, texts: list[str]) -> None:
    title, description, chapter = texts
    embedding = Embedding(
        tags={"title": title, "description": description, "comment": "last"},
        chapters=(Chapter(0, 2, chapter),),
    )
    got = make(container, made("plain.m4a" if container == "mp3" else "silent.mp4"), embedding=embedding)

    with av.open(str(got)) as opened:
        found = {key.lower(): value for key, value in opened.metadata.items()}
        named = [each["metadata"]["title"] for each in opened.chapters()]
    assert (found["title"], found["description"], found["comment"]) == (title, description, "last")
    assert named == [chapter]


def test_a_text_begins_no_section_and_no_field() -> None:
    text = ffmetadata(Embedding(tags={"description": "one\rcomment=evil\r\n[CHAPTER]\rSTART=0\0"}), "mp4")

    lines = text.replace("\\\r", "").replace("\\\n", "").replace("\r", "\n").splitlines()
    assert len(lines) == 2


# --- numbers of a page ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([(0, 4), (4, 9), (9, 400), (400, 7200)], [(0, 4), (4, 9), (9, 12)]),
        ([(0, 6), (6, 3), (3, 12)], [(0, 3), (3, 12)]),
        ([(0, 10), (2, 12)], [(0, 2), (2, 12)]),
        ([(8, 12), (0, 4), (4, 8)], [(0, 4), (4, 8), (8, 12)]),
        ([(0, None), (5, None)], [(0, 5), (5, 12)]),
        ([(-3, 5), (5, 12)], [(5, 12)]),
        ([(float("nan"), 5), (2, float("inf")), ("3", "x"), (True, 4), (10**400, None)], []),
        ([(3, 3), (3, 3.0001), (12, 13)], []),
        (["no chapter", None, 5], []),
        ("no list", []),
        (None, []),
    ],
)
def test_chapters_lie_within_the_film_in_order_and_apart(
    told: Any, expected: list[tuple[float, float]]
) -> None:
    listed = (
        [
            {"start_time": each[0], "end_time": each[1], "title": "x"} if isinstance(each, tuple) else each
            for each in told
        ]
        if isinstance(told, list)
        else told
    )

    found = chapters_of({"chapters": listed}, 12.0)

    assert [(each.start, each.end) for each in found] == expected


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -5, "12", 10**400, True, None, [], {}])
def test_no_number_of_an_extractor_raises(number: Any) -> None:
    info = {
        "id": "x",
        "title": "x",
        "duration": number,
        "chapters": [{"start_time": number, "end_time": number}],
    }

    assert metadata_of(info).duration is None
    assert chapters_of(info, 12.0) in ((), (Chapter(0.0, 12.0, "Chapter 1"),))


def test_a_long_description_goes_into_the_file_whole() -> None:
    told = "Zeile äöü 😀 " * 4000

    assert tags_of({"id": "x", "title": "x", "description": told})["description"] == told.strip()


# --- the whole way ----------------------------------------------------------------------------------------------


def get(site: FileSite, folder: Path, url: str, container: str = "mp4") -> Fetched:
    spec = FetchSpec(
        url=url, quality="best", format=container, work_dir=folder, ffmpeg=FFMPEG, socket_timeout=5.0
    )
    return fetch(spec, lambda _: None)


def test_a_file_that_ended_early_is_not_completed_and_begun_anew(file_site: FileSite, tmp_path: Path) -> None:
    whole = made("faststart.mp4").read_bytes()
    file_site.files["/early.mp4"] = whole[: len(whole) // 2]
    file_site.untold.add("/early.mp4")
    with pytest.raises(FetchError) as failed:
        get(file_site, tmp_path / "work", f"{file_site.url}/early.mp4")
    assert (failed.value.kind, failed.value.retry) == ("truncated", "soon")
    assert list((tmp_path / "work").iterdir()) == []

    file_site.files["/early.mp4"] = whole
    got = get(file_site, tmp_path / "work", f"{file_site.url}/early.mp4")

    assert got.path.read_bytes() == whole
    assert got.duration == pytest.approx(6, abs=0.1)


COVERS = {
    "junk": b"\xff\xd8\xff\xe0" + b"<html>not a picture</html>" * 20,
    "half": b"",
    "empty": b"",
    "gif": b"GIF89a" + bytes(50),
    "zeros": b"\xff\xd8\xff" + bytes(11 << 20),
}


@pytest.mark.parametrize("name", COVERS)
def test_a_picture_that_is_none_is_no_cover(file_site: FileSite, tmp_path: Path, name: str) -> None:
    picture = source("cover").read_bytes()
    body = picture[: len(picture) // 2] if name == "half" else COVERS[name]
    file_site.files[f"/{name}.jpg"] = gzip.compress(body)
    file_site.headers[f"/{name}.jpg"] = {"Content-Encoding": "gzip"}
    file_site.files["/right.jpg"] = picture
    spec = FetchSpec(url=file_site.url, quality="best", format="mp4", work_dir=tmp_path, ffmpeg=FFMPEG)

    with youtube_dl(spec) as ydl:
        assert cover_of(ydl, FFMPEG, {"thumbnail": f"{file_site.url}/{name}.jpg"}, tmp_path) is None
        assert list(tmp_path.iterdir()) == []
        right = cover_of(ydl, FFMPEG, {"thumbnail": f"{file_site.url}/right.jpg"}, tmp_path)

    assert right is not None
    assert right.read_bytes() == picture


def test_a_page_whose_picture_is_none_gives_the_film(file_site: FileSite, tmp_path: Path) -> None:
    file_site.files["/film.mp4"] = made("faststart.mp4").read_bytes()
    file_site.files["/junk.jpg"] = COVERS["junk"]
    head = f'<meta property="og:image" content="{file_site.url}/junk.jpg">'

    got = get(file_site, tmp_path / "work", file_site.page("/about", "/film.mp4", head=head))

    assert probe(got.path).has_picture is False
    with av.open(str(got.path)) as opened:
        assert opened.metadata["title"] == "A film"
