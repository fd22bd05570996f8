"""Fetching from a site that really serves files, pages, HLS and DASH over a socket."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import pytest
from mutagen.flac import Picture
from mutagen.id3 import ID3
from mutagen.mp4 import MP4
from mutagen.oggopus import OggOpus

from engine.clients.fetch_errors import FetchError
from engine.clients.fetch_signals import Fetched, FetchSpec, Metadata, MetadataFound, Progress, Signal
from engine.clients.media.probe import NotMediaError, probe
from engine.clients.ytdlp.fetch import fetch, preview
from tests.fakes import media
from tests.fakes.video_site import VideoSite

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


class Fetcher:
    """Fetches from the site into one work folder, as attempts of one download do."""

    def __init__(self, site: VideoSite, folder: Path) -> None:
        self.site, self.folder = site, folder
        self.signals: list[Signal] = []

    def __call__(self, path: str, quality: str = "best", format: str = "mp4", **more: Any) -> Fetched:  # noqa: A002
        self.signals.clear()
        url = path if "://" in path else self.site.url + path
        return fetch(self.spec(url, quality, format, **more), self.signals.append)

    def spec(self, url: str, quality: str = "best", format: str = "mp4", **more: Any) -> FetchSpec:  # noqa: A002
        fixed = {"work_dir": self.folder, "ffmpeg": FFMPEG, "socket_timeout": 5.0}
        return FetchSpec(url=url, quality=quality, format=format, **{**fixed, **more})

    @property
    def progress(self) -> list[Progress]:
        return [signal for signal in self.signals if isinstance(signal, Progress)]

    @property
    def metadata(self) -> Metadata:
        (found,) = [signal.metadata for signal in self.signals if isinstance(signal, MetadataFound)]
        return found


@pytest.fixture
def get(video_site: VideoSite, tmp_path: Path) -> Fetcher:
    return Fetcher(video_site, tmp_path / "work")


def decoded(path: Path, kind: str) -> list[str]:
    """A digest of each decoded frame, to tell whether a film is whole and the same."""
    with av.open(str(path)) as container:
        frames = container.decode(video=0) if kind == "video" else container.decode(audio=0)
        return [hashlib.md5(b"".join(bytes(plane) for plane in frame.planes)).hexdigest() for frame in frames]


def chapters(path: Path) -> list[tuple[float, float, str]]:
    with av.open(str(path)) as container:
        return [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"]["title"])
            for c in container.chapters()
        ]


def tags(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        own = {
            **container.streams.best("audio").metadata,
            **container.metadata,
        }  # Ogg keeps them in the stream
        return {key.lower(): value for key, value in own.items()}


# --- what comes out ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "quality", "format"),
    [
        ("/direct/plain.mp4?size=3000000", "best", "mp4"),
        ("/direct/plain.mp4?type=text/html", "720p", "mp4"),
        ("/direct/plain.mkv", "1080p", "mkv"),
        ("/direct/plain.webm", "best", "webm"),
        ("/direct/plain.mp3", "audio", "mp3"),
        ("/direct/plain.m4a", "audio", "m4a"),
        ("/direct/plain.opus", "audio", "opus"),
    ],
)
def test_a_bare_file_asked_for_in_its_own_container_stays_byte_for_byte_as_it_was(
    get: Fetcher,
    path: str,
    quality: str,
    format: str,  # noqa: A002
) -> None:
    body = get.site.body(path)  # made now, so that encoding it keeps no request waiting

    got = get(path, quality, format)

    assert got.path.read_bytes() == body
    assert got.path.name == f"result.{format}"
    assert (got.size, got.container) == (got.path.stat().st_size, format)
    assert got.duration == pytest.approx(media.SECONDS, abs=0.1)
    assert {each.phase for each in get.progress} == {"extracting", "downloading"}
    assert get.metadata.title == "plain"


def test_a_page_with_a_video_gets_its_title_and_picture_into_the_file(get: Fetcher) -> None:
    got = get("/page/harbour")

    assert got.metadata == get.metadata
    assert (got.metadata.title, got.metadata.source_id) == ("The harbour film", "harbour")
    assert got.metadata.thumbnail == f"{get.site.url}/thumb/harbour.jpg"
    assert tags(got.path)["title"] == "The harbour film"
    assert bytes(MP4(got.path)["covr"][0]) == get.site.body("/thumb/harbour.jpg")
    assert decoded(got.path, "video") == decoded(media.sample("mp4"), "video")


def test_without_embedding_a_page_gives_the_file_itself(get: Fetcher) -> None:
    got = get("/rich/plain", embed=False)

    assert got.path.read_bytes() == get.site.body("/direct/plain.mp4")


@pytest.mark.parametrize(("quality", "lines"), [("best", 360), ("1080p", 360), ("240p", 240), ("144p", 144)])
def test_hls_in_the_best_quality_up_to_the_cap(get: Fetcher, quality: str, lines: int) -> None:
    got = get("/hls/river/master.m3u8", quality)

    assert got.height == lines
    assert probe(got.path).container == "mp4"
    assert len(decoded(got.path, "video")) == media.SECONDS * 25


@pytest.mark.parametrize(("format", "codecs"), [("mp4", ("h264", "aac")), ("mkv", ("h264", "aac"))])
def test_dash_streams_are_merged(get: Fetcher, format: str, codecs: tuple[str, str]) -> None:  # noqa: A002
    got = get("/dash/forest/manifest.mpd", "best", format)

    found = probe(got.path)
    assert (found.video_codec, found.audio_codec, found.height) == (*codecs, 360)
    assert len(decoded(got.path, "video")) == media.SECONDS * 25
    assert [each.phase for each in get.progress][-1] == "processing"


def test_what_does_not_fit_is_converted(get: Fetcher) -> None:
    webm = get("/dash/forest/manifest.mpd", "144p", "webm")
    assert (probe(webm.path).video_codec, probe(webm.path).audio_codec) == ("vp9", "opus")

    mp4 = get("/direct/plain.webm", "best", "mp4")
    assert (probe(mp4.path).video_codec, probe(mp4.path).audio_codec) == ("h264", "aac")


def test_what_fits_is_only_repacked(get: Fetcher) -> None:
    got = get("/direct/plain.mkv", "best", "mp4")

    assert decoded(got.path, "video") == decoded(media.sample("mkv"), "video")


@pytest.mark.parametrize(("format", "codec"), [("mp3", "mp3"), ("m4a", "aac"), ("opus", "opus")])
@pytest.mark.parametrize("path", ["/direct/song.mp4", "/hls/song/master.m3u8", "/dash/song/manifest.mpd"])
def test_sound_is_extracted(get: Fetcher, path: str, format: str, codec: str) -> None:  # noqa: A002
    got = get(path, "audio", format)

    found = probe(got.path)
    assert (found.container, found.audio_codec, found.has_video) == (format, codec, False)
    assert got.duration == pytest.approx(media.SECONDS, abs=0.2)


def test_sound_that_is_right_already_is_not_encoded_again(get: Fetcher) -> None:
    got = get("/direct/song.mp4", "audio", "m4a")

    assert decoded(got.path, "audio") == decoded(media.sample("mp4"), "audio")


# --- what is embedded -------------------------------------------------------------------------------------------

TOLD = {
    "title": "The lighthouse film",
    "artist": "A. Maker",
    "description": "First line about lighthouse.\nSecond line; with = signs # and \\ strokes.",
}
CHAPTERS = [(0.0, 1.0, "Opening"), (1.0, 2.0, "Middle = the; best # part"), (2.0, 4.0, "End \\ credits")]


@pytest.mark.parametrize(
    ("quality", "format"),
    [("best", "mp4"), ("best", "mkv"), ("audio", "mp3"), ("audio", "m4a"), ("audio", "opus")],
)
@pytest.mark.parametrize("picture", ["jpg", "webp"])
def test_tags_chapters_and_cover_are_embedded(get: Fetcher, quality: str, format: str, picture: str) -> None:  # noqa: A002
    got = get(f"/rich/lighthouse?picture={picture}", quality, format)

    found = tags(got.path)
    if format == "opus":  # ffmpeg's name for Vorbis' DESCRIPTION
        found["description"] = found.pop("comment")
    assert {key: found.get(key) for key in TOLD} == TOLD
    assert found["date"].startswith("2024")
    assert [name for _, _, name in chapters(got.path)] == [name for _, _, name in CHAPTERS]
    times = [second for start, end, _ in chapters(got.path) for second in (start, end)]
    assert times == pytest.approx([0, 1, 1, 2, 2, 4], abs=0.02)  # Ogg knows no end, so the last is the file's
    cover = _cover(got.path)
    assert cover.startswith(b"\xff\xd8\xff")
    if picture == "jpg":
        assert cover == get.site.body("/thumb/lighthouse.jpg")


def test_webm_takes_tags_and_chapters_but_no_cover(get: Fetcher) -> None:
    got = get("/rich/lighthouse?video=webm", "best", "webm")

    assert tags(got.path)["title"] == TOLD["title"]
    assert chapters(got.path) == CHAPTERS
    assert decoded(got.path, "video") == decoded(media.sample("webm"), "video")
    assert not get.site.asked("/thumb/lighthouse.webm")


def test_a_missing_thumbnail_fails_nothing(get: Fetcher) -> None:
    got = get("/page/harbour?picture=nothing")

    assert probe(got.path).has_picture is False
    assert tags(got.path)["title"] == "The harbour film"


def _cover(path: Path) -> bytes:
    match path.suffix:
        case ".mp4" | ".m4a":
            return bytes(MP4(path)["covr"][0])
        case ".mp3":
            return bytes(ID3(path).getall("APIC")[0].data)
        case ".opus":
            return bytes(Picture(b64decode(OggOpus(path)["metadata_block_picture"][0])).data)
    with av.open(str(path)) as container:
        (picture,) = [stream for stream in container.streams.video if stream.disposition & 0x400]
        return next(bytes(packet) for packet in container.demux(picture))


# --- on the way -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/direct/slow.mp4?rate=200000", "/dash/slow/manifest.mpd?media.rate=100000"]
)
def test_progress_comes_early_never_falls_and_ends_at_one(get: Fetcher, path: str) -> None:
    get(path)

    line = get.progress
    assert isinstance(get.signals[0], Progress)
    assert line[0].phase == "extracting"
    fractions = [each.fraction for each in line if each.fraction is not None]
    assert len(fractions) >= 3
    assert fractions == sorted(fractions)
    assert fractions[0] < 0.2
    assert fractions[-1] == 1.0
    assert [each.downloaded_bytes for each in line] == sorted(each.downloaded_bytes for each in line)
    phases = [each.phase for each in line]
    assert phases == sorted(phases, key=["extracting", "downloading", "processing"].index)


def test_the_first_signal_comes_with_the_first_bytes(get: Fetcher) -> None:
    gate = get.site.gate("early")

    class Enough(Exception):
        """The test has seen what it wanted."""

    def emit(signal: Signal) -> None:
        if isinstance(signal, Progress) and signal.phase == "downloading":
            assert not gate.opened.is_set()
            assert signal.downloaded_bytes <= 20000
            assert signal.total_bytes == 1000000
            raise Enough

    url = f"{get.site.url}/direct/early.mp4?size=1000000&gate=early&after=20000&skip=1"
    with pytest.raises(Enough):
        fetch(get.spec(url), emit)
    gate.release()


@pytest.mark.parametrize("phase", ["extracting", "downloading", "processing"])
def test_what_the_receiver_raises_comes_through_and_stops_everything(get: Fetcher, phase: str) -> None:
    class Cancelled(Exception):
        """The caller changed their mind."""

    def emit(signal: Signal) -> None:
        if isinstance(signal, Progress) and signal.phase == phase:
            raise Cancelled

    with pytest.raises(Cancelled):
        fetch(get.spec(f"{get.site.url}/hls/river/master.m3u8", "best", "webm"), emit)

    assert not (get.folder / "result.webm").exists()


def test_after_a_broken_transfer_the_next_attempt_goes_on_at_the_byte(get: Fetcher) -> None:
    path = "/direct/cut.mp4?size=2000000"

    with pytest.raises(FetchError) as failed:
        get(f"{path}&skip=1&cut=900000")
    assert (failed.value.kind, failed.value.retry) == ("truncated", "soon")
    got = get(path)

    assert got.path.read_bytes() == get.site.body(path)
    ranges = [each.range for each in get.site.asked("/direct/cut.mp4")]
    assert [each is None for each in ranges] == [True, True, *[False] * (len(ranges) - 4), True, False]
    starts = [int(each.removeprefix("bytes=").removesuffix("-")) for each in ranges if each]
    assert 600_000 <= starts[0] <= starts[-1] <= 900_000
    assert starts == sorted(starts)
    assert get.progress[1].downloaded_bytes > starts[-1]


def test_a_complete_stream_is_not_fetched_again(get: Fetcher) -> None:
    first = get("/direct/once.mp4")
    before = len(get.site.asked("/direct/once.mp4"))

    second = get("/direct/once.mp4")

    assert len(get.site.asked("/direct/once.mp4")) == before + 1  # the look at its headers
    assert second.path.read_bytes() == first.path.read_bytes()


def test_a_missing_segment_is_no_success(get: Fetcher) -> None:
    with pytest.raises(FetchError) as failed:
        get("/hls/holes/master.m3u8?media.status=503")

    assert (failed.value.kind, failed.value.retry) == ("upstream", "soon")


def test_nothing_is_written_outside_the_work_folder(get: Fetcher, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from engine.clients.ytdlp.fetch import fetch;"
        "from engine.clients.fetch_signals import FetchSpec;"
        "got = fetch(FetchSpec(url=sys.argv[1], quality='best', format='mp4', work_dir=Path(sys.argv[2]),"
        "ffmpeg=sys.argv[3]), lambda signal: None); print(got.path)"
    )
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    root = Path(__file__).resolve().parents[3]
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": str(root)}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "XDG_CACHE_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    (home / "yt-dlp.conf").write_text("--exec 'touch executed'\n")

    done = subprocess.run(
        [sys.executable, "-c", script, f"{get.site.url}/rich/tidy", str(get.folder), FFMPEG],
        cwd=here, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.stdout == f"{get.folder}/result.mp4\n", done.stderr
    assert done.stderr == ""
    assert [each.name for each in home.iterdir()] == ["yt-dlp.conf"]
    assert list(here.iterdir()) == []


COOKIES = "\t".join(("127.0.0.1", "FALSE", "/", "FALSE", "2147483647", "session", "secret-value"))


@pytest.mark.parametrize("fetched", [True, False])
def test_cookies_are_shown_to_their_own_site_only_and_written_nowhere(get: Fetcher, fetched: bool) -> None:
    cookies = f"# Netscape HTTP Cookie File\n{COOKIES}\n"
    other = get.site.url.replace("127.0.0.1", "localhost")
    path = f"/redirect?to={other}/page/signed-in-{fetched}"

    if fetched:
        get(get.site.url + path, cookies=cookies)
    else:
        preview(get.site.url + path, timeout=5, cookies=cookies)

    (own,) = [seen for seen in get.site.asked("/redirect") if f"-{fetched}" in seen.query["to"]]
    assert own.cookie == "session=secret-value"
    others = get.site.asked(f"/page/signed-in-{fetched}")
    assert others
    assert all(seen.cookie is None for seen in others)
    if fetched:
        files = list(get.folder.iterdir())
        assert files
        assert not any(b"secret-value" in file.read_bytes() for file in files)
        assert "secret-value" not in repr(get.spec(path, cookies=cookies))


# --- what goes wrong --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind", "retry"),
    [
        ("/pages/several", "playlist", "never"),
        ("/text/nothing", "unsupported", "never"),
        ("/live/news/master.m3u8", "live_now", "never"),
        ("/drm/film/master.m3u8", "drm", "never"),
        ("/nowhere", "not_found", "never"),
        ("/direct/a.mp4?status=410", "gone", "never"),
        ("/direct/a.mp4?status=403", "forbidden", "again_once"),
        ("/direct/a.mp4?status=403&skip=1", "forbidden", "again_once"),
        ("/page/a?media.status=404", "not_found", "never"),
        ("/direct/a.mp4?status=429&retry_after=90", "rate_limited", "throttled"),
        ("/direct/a.mp4?status=429&retry_after=90&skip=1", "rate_limited", "throttled"),
        ("/hls/a/master.m3u8?media.status=429", "rate_limited", "throttled"),
        ("/direct/a.mp4?status=503", "upstream", "soon"),
        ("/direct/a.mp4?status=503&skip=1", "upstream", "soon"),
        ("/dash/a/manifest.mpd?media.status=502", "upstream", "soon"),
        ("/direct/a.mp4?cut=0&skip=1", "truncated", "soon"),
        ("/thumb/a.jpg?type=video/mp4", "not_media", "again_once"),
        ("ftp://127.0.0.1/a.mp4", "unsupported", "never"),
        ("file:///etc/passwd", "unsupported", "never"),
        ("http://[bad", "unsupported", "never"),
        ("http://127.0.0.1:1/a.mp4", "network", "soon"),
        ("http://nobody:secret@127.0.0.1:1/a.mp4", "network", "soon"),
    ],
)
def test_each_failure_has_its_kind_and_nothing_secret_in_its_words(
    get: Fetcher, path: str, kind: str, retry: str
) -> None:
    with pytest.raises(FetchError) as failed:
        get(path)

    error = failed.value
    assert (error.kind, error.retry) == (kind, retry)
    assert error.retry_after == (90 if "retry_after" in path else None)
    for text in (error.message, error.advice, error.detail):
        assert "secret" not in text
        assert str(get.folder) not in text
        assert "\x1b" not in text
        assert "ERROR" not in text
    assert all(isinstance(each, Progress | MetadataFound) for each in get.signals)


def test_a_silent_site_is_a_network_failure(get: Fetcher) -> None:
    with pytest.raises(FetchError) as failed:
        get("/direct/silent.mp4?gate=silent&after=1000&skip=1", socket_timeout=0.2)
    get.site.release("silent")

    assert (failed.value.kind, failed.value.retry) == ("network", "soon")


def test_what_is_no_media_does_not_stay_to_be_trusted_by_the_next_attempt(get: Fetcher) -> None:
    with pytest.raises(FetchError, match="not_media"):
        get("/thumb/a.jpg?type=video/mp4")

    assert [each.name for each in get.folder.iterdir()] == []


def test_more_than_allowed_is_refused(get: Fetcher) -> None:
    with pytest.raises(FetchError, match="too_large"):
        get("/direct/large.mp4?size=3000000&no_length=1", max_bytes=1_000_000)


def test_a_playlist_named_like_a_film_is_not_opened(tmp_path: Path) -> None:
    secret = media.sample("mp4")
    for name, text in {
        "hls.mp4": f"#EXTM3U\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        "concat.mp4": f"ffconcat version 1.0\nfile '{secret}'\n",
    }.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(NotMediaError):
            probe(tmp_path / name)


# --- looking without fetching -----------------------------------------------------------------------------------


def test_a_preview_tells_what_there_is(video_site: VideoSite) -> None:
    found = preview(f"{video_site.url}/hls/river/master.m3u8", timeout=5)

    assert found.heights == (360, 240, 144)
    assert found.qualities == ("best", "360p", "240p", "144p", "audio")
    assert found.metadata.duration == media.SECONDS


def test_a_preview_of_a_page_has_its_words(video_site: VideoSite) -> None:
    found = preview(f"{video_site.url}/rich/lighthouse", timeout=5).metadata

    assert (found.title, found.channel, found.upload_date) == (
        "The lighthouse film",
        "A. Maker",
        "2024-02-29",
    )
    assert found.description == TOLD["description"]


@pytest.mark.parametrize(("path", "kind"), [("/pages/several", "playlist"), ("/nowhere", "not_found")])
def test_a_preview_says_why_not(video_site: VideoSite, path: str, kind: str) -> None:
    with pytest.raises(FetchError, match=kind):
        preview(video_site.url + path, timeout=5)


def test_sites_without_an_extractor_are_refused_where_they_are_not_wanted(video_site: VideoSite) -> None:
    with pytest.raises(FetchError, match="unsupported"):
        preview(f"{video_site.url}/direct/a.mp4", timeout=5, generic=False)


def test_a_part_that_is_whole_but_was_not_renamed_is_no_dead_end(get: Fetcher, video_site: VideoSite) -> None:
    path = "/direct/lastbyte.mp4?size=700000"
    get(path)
    (stream,) = get.folder.glob("stream*.media")
    for file in get.folder.iterdir():
        if file != stream:
            file.unlink()
    stream.rename(f"{stream}.part")
    assert get(path).path.read_bytes() == video_site.body(path)
