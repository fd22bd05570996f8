"""Format choice by yt-dlp's own selection, and the options that no request can change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yt_dlp import YoutubeDL

from engine import formats
from engine.clients.ytdlp import options

RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "fixtures" / "youtube" / "info_json"
recorded = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recorded answers of YouTube are not here")

WATCH = "https://www.youtube.com/watch?v=JjQDik3yNhA"
_CHOSEN_BEFORE = {
    "requested_formats",
    "format",
    "format_id",
    "url",
    "ext",
    "vcodec",
    "acodec",
    "protocol",
    "abr",
}
_CHOSEN_BEFORE |= {
    "width",
    "height",
    "fps",
    "tbr",
    "vbr",
    "dynamic_range",
    "resolution",
    "aspect_ratio",
    "_type",
}


def choose(formats: list[dict[str, Any]], quality: str, format: str, **info: Any) -> list[dict[str, Any]]:  # noqa: A002
    """The streams that yt-dlp picks offline."""
    chosen = options.selector(quality, format)
    entries = [{"url": "https://media.invalid/stream", **each} for each in formats]
    known = {key: value for key, value in info.items() if key not in _CHOSEN_BEFORE}
    known = {
        "id": "x",
        "title": "t",
        "extractor": "youtube",
        "webpage_url": WATCH,
        **known,
        "formats": entries,
    }
    with YoutubeDL(options.options(WATCH, chosen, socket_timeout=5), auto_init=False) as ydl:
        result = ydl.process_ie_result(known, download=False)
    return list(result.get("requested_formats") or [result])


def recording(name: str) -> list[dict[str, Any]]:
    found = json.loads((RECORDINGS / f"{name}.json").read_text())
    return [{**each, "format": None} for each in (found["formats"] if isinstance(found, dict) else found)]


def video(streams: list[dict[str, Any]]) -> dict[str, Any]:
    return next(each for each in streams if each.get("vcodec") != "none")


def audio(streams: list[dict[str, Any]]) -> dict[str, Any]:
    return next(each for each in streams if each.get("acodec") != "none")


def stream(number: int, height: int | None, **fields: Any) -> dict[str, Any]:
    width = height * 16 // 9 if height else None
    fixed = {"format_id": str(number), "ext": "mp4", "vcodec": "avc1.4d401f", "acodec": "none"}
    return {**fixed, "height": height, "width": width, "tbr": number, **fields}


SOUND = [
    stream(1, None, ext="m4a", vcodec="none", acodec="mp4a.40.2", abr=128),
    stream(2, None, ext="webm", vcodec="none", acodec="opus", abr=160),
]


@recorded
@pytest.mark.parametrize(
    ("quality", "lines"),
    [
        ("best", 1080),
        ("1080p", 1080),
        ("720p", 720),
        ("480p", 480),
        ("360p", 360),
        ("240p", 240),
        ("144p", 144),
    ],
)
@pytest.mark.parametrize("name", ["video_JjQDik3yNhA_2023", "was_live_gogEJyoSB9s_chapters"])
def test_mp4_of_a_recording_is_h264_with_aac_at_the_cap(name: str, quality: str, lines: int) -> None:
    chosen = choose(recording(name), quality, "mp4", duration=600)

    assert video(chosen)["height"] == lines
    assert video(chosen)["vcodec"].startswith("avc1")
    assert audio(chosen)["acodec"].startswith("mp4a")


@recorded
@pytest.mark.parametrize("name", ["video_JjQDik3yNhA_2023", "was_live_gogEJyoSB9s_chapters"])
def test_webm_of_a_recording_needs_no_conversion(name: str) -> None:
    chosen = choose(recording(name), "1080p", "webm", duration=600)

    assert video(chosen)["height"] == 1080
    assert video(chosen)["vcodec"].startswith(("vp", "av01"))
    assert audio(chosen)["acodec"] == "opus"


@recorded
def test_mkv_of_a_recording_is_the_best_of_any_codec() -> None:
    chosen = choose(recording("video_JjQDik3yNhA_2023"), "best", "mkv", duration=600)

    assert video(chosen)["height"] == 1080
    assert video(chosen)["vcodec"].startswith(("av01", "vp09"))
    assert audio(chosen)["acodec"] == "opus"


@recorded
@pytest.mark.parametrize("format", ["mp4", "webm"])
def test_hdr_is_for_mkv_only_and_lines_come_before_codecs(format: str) -> None:  # noqa: A002
    plain = video(choose(recording("formats_hdr"), "best", format, duration=600))
    rich = video(choose(recording("formats_hdr"), "best", "mkv", duration=600))

    assert plain["height"] == rich["height"] == 2160
    assert plain["vcodec"] == "vp9"
    assert rich["vcodec"] == "vp9.2"
    assert video(choose(recording("formats_hdr"), "1080p", "mp4"))["format_id"] == "137"


@recorded
@pytest.mark.parametrize(("format", "codec"), [("mp4", "avc1"), ("webm", "vp9"), ("mkv", "")])
def test_sixty_frames_are_preferred_at_the_same_lines(format: str, codec: str) -> None:  # noqa: A002
    chosen = video(choose(recording("formats_60fps"), "720p", format, duration=600))

    assert (chosen["height"], chosen["fps"]) == (720, 60)
    assert chosen["vcodec"].startswith(codec)


@recorded
@pytest.mark.parametrize(("format", "codec"), [("m4a", "mp4a"), ("opus", "opus"), ("mp3", "")])
def test_sound_comes_alone_and_in_its_own_codec_where_there_is_one(format: str, codec: str) -> None:  # noqa: A002
    for name in ("video_JjQDik3yNhA_2023", "was_live_gogEJyoSB9s_chapters", "formats_hdr"):
        (chosen,) = choose(recording(name), "audio", format, duration=600)
        assert chosen["vcodec"] == "none"
        assert chosen["acodec"].startswith(codec)


@pytest.mark.parametrize("format", formats.VIDEO_FORMATS)
def test_without_anything_below_the_cap_the_smallest_is_taken(format: str) -> None:  # noqa: A002
    chosen = choose([*SOUND, stream(5, 2160), stream(4, 1440)], "480p", format)

    assert video(chosen)["height"] == 1440


@pytest.mark.parametrize("format", formats.FORMATS)
def test_one_file_of_unknown_size_and_codecs_is_taken_for_any_wish(format: str) -> None:  # noqa: A002
    bare = {"format_id": "mp4", "ext": "mp4"}

    (chosen,) = choose([bare], "144p", format)

    assert chosen["format_id"] == "mp4"


@pytest.mark.parametrize("format", formats.VIDEO_FORMATS)
def test_an_upright_video_is_measured_by_its_short_side(format: str) -> None:  # noqa: A002
    codec = "vp9" if format == "webm" else "avc1.640028"
    upright = [stream(n, h, width=w, vcodec=codec) for n, w, h in ((3, 608, 1080), (4, 1080, 1920))]

    assert video(choose([*SOUND, *upright], "1080p", format))["width"] == 1080
    assert video(choose([*SOUND, *upright], "720p", format))["width"] == 608


def test_the_original_language_wins_over_a_better_codec() -> None:
    original = {**SOUND[1], "language": "de", "language_preference": 10}
    dubbed = {**SOUND[0], "language": "en", "language_preference": -1}

    assert audio(choose([original, dubbed, stream(5, 720)], "best", "mp4"))["language"] == "de"


def test_webm_takes_fewer_lines_rather_than_hours_of_conversion() -> None:
    offered = [*SOUND, stream(4, 720, vcodec="vp9", ext="webm"), stream(5, 1080)]

    assert video(choose(offered, "best", "webm"))["vcodec"] == "vp9"
    assert video(choose([*SOUND, stream(5, 1080)], "best", "webm"))["height"] == 1080


def every_wish() -> Iterator[tuple[str, str]]:
    for quality in formats.QUALITIES:
        for format in formats.FORMATS:  # noqa: A001
            if quality != formats.AUDIO or format in formats.AUDIO_FORMATS:
                yield quality, format


@pytest.mark.parametrize(("quality", "format"), list(every_wish()))
def test_every_wish_of_the_tables_is_one_that_yt_dlp_understands(quality: str, format: str) -> None:  # noqa: A002
    assert choose([*SOUND, stream(5, 720), stream(6, 360, acodec="mp4a.40.2")], quality, format)


@pytest.mark.parametrize(
    ("quality", "format", "names"),
    [
        ("4k", "mp4", "2160p"),
        ("best", "avi", "mkv"),
        ("audio", "mp4", "mp3"),
        ("best[height>1]", "mp4", "best"),
    ],
)
def test_what_is_not_in_the_tables_is_refused_with_what_is(quality: str, format: str, names: str) -> None:  # noqa: A002
    with pytest.raises(ValueError, match=names):
        options.selector(quality, format)


# All that `options.options` may hold, by what it depends on.
OF_THE_WISH = {"format", "format_sort"}
OF_THE_SITE = {"sleep_interval_requests"}
OF_THE_SERVER = {"socket_timeout", "ffmpeg_location", "paths", "cookiefile"}
SELECTORS = {options.selector(*wish).format for wish in every_wish()}
SORTS = {tuple(options.selector(*wish).format_sort) for wish in every_wish()}
DANGEROUS = {
    *("exec_cmd", "exec_before_dl_cmd", "postprocessors", "postprocessor_args", "external_downloader"),
    *("external_downloader_args", "cookiesfrombrowser", "cookiefile", "usenetrc", "netrc_cmd", "username"),
    *("password", "client_certificate", "proxy", "geo_verification_proxy", "source_address", "plugin_dirs"),
    *("load_info_filename", "enable_file_urls", "nocheckcertificate", "legacyserverconnect", "http_headers"),
    *("call_home", "writeinfojson", "writesubtitles", "write_pages", "download_archive", "batchfile"),
    *("remote_components", "extractor_args", "default_search", "match_filter", "allow_unplayable_formats"),
}
HOSTILE = st.one_of(
    st.text(max_size=200),
    st.sampled_from(["--exec", "https://www.youtube.com/", "https://youtu.be/x", "file:///etc/passwd"]),
    st.text(max_size=60).map(lambda rest: f"https://host.example/{rest}"),
    st.text(max_size=60).map(lambda rest: f"https://www.youtube.com/watch?{rest}"),
)


def url_is_youtube(url: str) -> bool:
    try:
        return options.is_youtube(url)
    except ValueError:  # no URL at all: refused before it gets this far
        return False


@given(
    url=HOSTILE,
    quality=HOSTILE | st.sampled_from(formats.QUALITIES),
    format=HOSTILE | st.sampled_from(formats.FORMATS),
)
def test_no_request_changes_anything_but_what_our_tables_allow(url: str, quality: str, format: str) -> None:  # noqa: A002
    usual = options.options("https://host.example/", options.selector("best", "mp4"), socket_timeout=5)
    try:
        chosen = options.selector(quality, format)
        asked = options.options(url, chosen, socket_timeout=5)
    except ValueError:
        return  # refused as a whole

    assert asked.keys() == usual.keys()
    changed = {key for key in asked if key != "logger" and asked[key] != usual[key]}
    assert changed <= OF_THE_WISH | (OF_THE_SITE if url_is_youtube(url) else set())
    assert asked["format"] in SELECTORS
    assert tuple(asked["format_sort"]) in SORTS
    assert asked["sleep_interval_requests"] in {0, 0.75}
    assert asked["outtmpl"] == {"default": "unnamed"}


def test_every_option_is_fixed_or_known_to_vary() -> None:
    asked = options.options(WATCH, options.selector("best", "mp4"), socket_timeout=5)

    assert asked.keys() - options.FIXED.keys() == OF_THE_WISH | OF_THE_SITE | OF_THE_SERVER | {
        "logger", "js_runtimes", "remote_components", "outtmpl"
    }  # fmt: skip
    assert {key: asked[key] for key in DANGEROUS if asked.get(key)} == {}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://www.youtube.com/watch?v=x", True),
        ("https://youtu.be/x", True),
        ("https://music.youtube.com./x", True),
        ("https://www.youtube-nocookie.com/embed/x", True),
        ("https://youtube.com.evil.example/x", False),
        ("https://notyoutube.com/x", False),
        ("https://evil.example/youtube.com", False),
        ("https://youtube.com@evil.example/", False),
    ],
)
def test_youtube_is_known_by_its_hosts_and_meets_its_own_extractors_only(url: str, expected: bool) -> None:
    assert options.is_youtube(url) is expected
    assert (options.allowed_extractors(url, generic=True) == ("youtube.*",)) is expected


def test_the_javascript_runtime_that_youtube_needs_is_installed_and_new_enough() -> None:
    chosen = options.options(WATCH, options.selector("best", "mp4"), socket_timeout=5)

    with YoutubeDL(chosen, auto_init=False) as ydl:
        runtime = ydl._js_runtimes["deno"].info

    assert runtime is not None
    assert runtime.supported
