"""yt-dlp's format selector for a quality and format, and its fixed options; requests only choose from these tables."""

from __future__ import annotations

from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import deno  # type: ignore[import-untyped]

from engine.formats import AUDIO, AUDIO_FORMATS, CAPS, FORMATS, QUALITIES, VIDEO_FORMATS

_YOUTUBE_HOSTS = ("youtube.com", "youtu.be", "youtube-nocookie.com", "youtubekids.com")
_ANY = "bv*+ba/b/bv*/ba"

# Every order begins with the original language: a better codec must not lead to a dubbed track. Then the resolution up
# to the cap (if there is none, the smallest above it), then the frame rate.
_ORDER = {
    # Plays everywhere: H.264, AAC, no HDR; resolution still comes first.
    "mp4": ("fps", "hdr:sdr", "vcodec:h264", "acodec:aac"),
    # Royalty-free and made for browsers, so no HDR either.
    "webm": ("fps", "hdr:sdr", "vcodec:vp9", "acodec:opus"),
    # The best by yt-dlp's own order: HDR before SDR, newer codecs before older.
    "mkv": ("fps", "hdr:12"),
    # From sites without separate audio, at most 480p is fetched for it.
    "mp3": ("abr", "res:480"),
    "m4a": ("acodec:aac", "abr", "res:480"),
    "opus": ("acodec:opus", "abr", "res:480"),
}
_OWN_AUDIO = {"mp3": "^mp3", "m4a": "^(mp4a|aac|alac)", "opus": "^opus"}
_WEBM_VIDEO = "[vcodec~='^(vp0?[89]|av0?1)']"
_WEBM_AUDIO = "[acodec~='^(opus|vorbis)']"


class Selection(NamedTuple):
    """yt-dlp's `format` and `format_sort`."""

    format: str
    format_sort: list[str]


def check(quality: str, format: str) -> None:  # noqa: A002 - the field's name in the API
    """Validate quality and format.

    Raises:
        ValueError: one is unknown, or quality `audio` with a video format; the message lists what is accepted.
    """
    if quality not in QUALITIES:
        raise ValueError(f"quality is one of {', '.join(QUALITIES)}")
    if format not in FORMATS:
        raise ValueError(f"format is one of {', '.join(FORMATS)}")
    if quality == AUDIO and format in VIDEO_FORMATS:
        raise ValueError(f"quality audio takes the formats {', '.join(AUDIO_FORMATS)}")


def selector(quality: str, format: str) -> Selection:  # noqa: A002
    """yt-dlp's `format` and `format_sort`; an audio format implies audio, whatever the quality.

    Raises:
        ValueError: see `check`.
    """
    check(quality, format)
    if format in AUDIO_FORMATS:
        return Selection(f"ba[acodec~='{_OWN_AUDIO[format]}']/ba/b/bv*", ["lang", *_ORDER[format]])
    cap = CAPS[quality]
    lines = "res" if cap is None else f"res:{cap}"
    wanted = "/".join([*_webm_choices(cap), _ANY]) if format == "webm" else _ANY
    return Selection(wanted, ["lang", lines, *_ORDER[format]])


def _webm_choices(cap: int | None) -> list[str]:
    """Selectors for codecs that fit into webm without conversion, within the cap: H.264 to VP9 takes hours.

    The cap applies to the short side, so upright videos are limited by their width.
    """
    sides = (
        [""] if cap is None else [f"[aspect_ratio>=?1][height<=?{cap}]", f"[aspect_ratio<1][width<=?{cap}]"]
    )
    apart = [f"bv{_WEBM_VIDEO}{side}+ba{_WEBM_AUDIO}" for side in sides]
    together = [f"b{_WEBM_VIDEO}{_WEBM_AUDIO}{side}" for side in sides]
    return apart + together


def is_youtube(url: str) -> bool:
    """Whether the URL's host is one of YouTube's."""
    host = (urlsplit(url).hostname or "").lower().rstrip(".")
    return any(host == known or host.endswith(f".{known}") for known in _YOUTUBE_HOSTS)


def allowed_extractors(url: str, *, generic: bool) -> tuple[str, ...]:
    """yt-dlp's `allowed_extractors`: YouTube's own for its URLs; for others all, generic ones only with `generic`."""
    if is_youtube(url):
        return ("youtube.*",)
    return ("default",) if generic else ("default", "-generic", "-html5")


@lru_cache(maxsize=1)
def deno_path() -> str:
    """The JavaScript runtime in the `deno` wheel; without one, yt-dlp gets few of YouTube's formats."""
    return str(deno.find_deno_bin())


class Silent:
    """A logger that drops everything: errors come as exceptions, progress by the hook."""

    def debug(self, _message: str) -> None:
        """Drop it."""

    info = warning = error = debug


def options(
    url: str,
    chosen: Selection,
    *,
    socket_timeout: float,
    ffmpeg: str | None = None,
    work_dir: Path | None = None,
    cookies: str | None = None,
) -> dict[str, Any]:
    """All of yt-dlp's parameters; no text of a request gets in except through `chosen`, made by `selector`."""
    return {
        **FIXED,
        "format": chosen.format,
        "format_sort": list(chosen.format_sort),
        "socket_timeout": socket_timeout,
        "logger": Silent(),
        # The runtime that solves YouTube's challenges; the dictionary replaces yt-dlp's defaults.
        "js_runtimes": {"deno": {"path": deno_path()}},
        "remote_components": set(),  # the solver is the installed yt-dlp-ejs; nothing is fetched at run time
        # yt-dlp's `sleep` preset: YouTube blocks guests' addresses after about 300 videos an hour.
        "sleep_interval_requests": 0.75 if is_youtube(url) else 0,
        "ffmpeg_location": ffmpeg,
        "cookiefile": StringIO(cookies) if cookies else None,  # yt-dlp reads and writes it in memory
        # Our files have fixed names; these settings only catch what yt-dlp might write besides.
        "paths": {"home": str(work_dir), "temp": str(work_dir)} if work_dir else {},
        "outtmpl": {"default": "unnamed"},
    }


FIXED: dict[str, Any] = {
    # Quiet: no terminal, no colours in messages.
    "quiet": True,
    "no_warnings": True,
    "noprogress": True,
    "color": "no_color",
    # One video: a watch URL with a list means its video; two flat entries are enough to refuse a real list.
    "noplaylist": True,
    "extract_flat": "in_playlist",
    "playlist_items": "1-2",
    "ignoreerrors": False,
    # Nothing of the host, its user or its network is used. proxy "": none, not even from the environment, as a proxy
    # would connect past the egress guard.
    "proxy": "",
    "usenetrc": False,
    "cookiesfrombrowser": None,
    "external_downloader": None,
    "enable_file_urls": False,
    "cachedir": False,
    "geo_bypass": False,
    "allow_unplayable_formats": False,
    "hls_prefer_native": True,  # ffmpeg never goes to the network
    # Resume partial files; do not set their mtime to Last-Modified.
    "continuedl": True,
    "nopart": False,
    "updatetime": False,
    # Few retries within an attempt; the job retries with pauses.
    "retries": 2,
    "fragment_retries": 2,
    "extractor_retries": 1,
    "file_access_retries": 0,
    "skip_unavailable_fragments": False,  # a missing fragment is a failure
    "concurrent_fragment_downloads": 3,
}
