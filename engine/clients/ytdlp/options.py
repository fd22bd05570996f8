"""Which formats a wish means, and the fixed options of yt-dlp; a request only chooses from these tables."""

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

# The language the uploader spoke goes first in every order: a better codec is no reason for a dubbed track.
# Then the lines up to the cap (above it the smallest: a file too large is better than none), then frames a second.
_ORDER = {
    # Plays everywhere: H.264, AAC, no HDR; but not at the price of lines.
    "mp4": ("fps", "hdr:sdr", "vcodec:h264", "acodec:aac"),
    # Royalty-free and made for browsers, so no HDR either.
    "webm": ("fps", "hdr:sdr", "vcodec:vp9", "acodec:opus"),
    # Takes whatever is best, in yt-dlp's own order: HDR before SDR, newer codecs before older.
    "mkv": ("fps", "hdr:12"),
    # Sites without a separate audio stream: at most 480 lines are fetched for the sake of the sound.
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
    """Refuse what is not in the tables, or a video format for sound alone.

    Raises:
        ValueError: in words, naming what is accepted.
    """
    if quality not in QUALITIES:
        raise ValueError(f"quality is one of {', '.join(QUALITIES)}")
    if format not in FORMATS:
        raise ValueError(f"format is one of {', '.join(FORMATS)}")
    if quality == AUDIO and format in VIDEO_FORMATS:
        raise ValueError(f"quality audio takes the formats {', '.join(AUDIO_FORMATS)}")


def selector(quality: str, format: str) -> Selection:  # noqa: A002
    """What to ask yt-dlp for; an audio format implies audio, whatever the quality.

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
    """Streams that a webm takes as they are, within the cap: converting H.264 to VP9 takes hours.

    The cap is of the short side, so upright videos are measured by their width.
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
    """YouTube's URLs meet YouTube's extractors only; others all of them, the generic ones if asked for."""
    if is_youtube(url):
        return ("youtube.*",)
    return ("default",) if generic else ("default", "-generic", "-html5")


@lru_cache(maxsize=1)
def deno_path() -> str:
    """The JavaScript runtime inside the `deno` wheel, without which YouTube hides most formats."""
    return str(deno.find_deno_bin())


class Silent:
    """A logger that says nothing: what matters comes as an exception, and progress by the hook."""

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
    """The whole of yt-dlp's parameters; of a request only `chosen` gets in, which is made from our tables."""
    return {
        **FIXED,
        "format": chosen.format,
        "format_sort": list(chosen.format_sort),
        "socket_timeout": socket_timeout,
        "logger": Silent(),
        # YouTube's challenges are solved by a JavaScript runtime; passing the dictionary replaces the default.
        "js_runtimes": {"deno": {"path": deno_path()}},
        "remote_components": set(),  # the solver is the installed yt-dlp-ejs; nothing is fetched at run time
        # yt-dlp's own advice for guests (its `sleep` preset): more than 300 videos an hour block the address.
        "sleep_interval_requests": 0.75 if is_youtube(url) else 0,
        "ffmpeg_location": ffmpeg,
        "cookiefile": StringIO(cookies) if cookies else None,  # a stream is read, and written to, in memory
        # Files get fixed names of ours, never one made of a title; these catch what might be written besides.
        "paths": {"home": str(work_dir), "temp": str(work_dir)} if work_dir else {},
        "outtmpl": {"default": "unnamed"},
    }


FIXED: dict[str, Any] = {
    # Quiet: no terminal, no colours in messages.
    "quiet": True,
    "no_warnings": True,
    "noprogress": True,
    "color": "no_color",
    # One video: of a watch URL with a list its video; of a real list two flat entries, enough to refuse it.
    "noplaylist": True,
    "extract_flat": "in_playlist",
    "playlist_items": "1-2",
    "ignoreerrors": False,
    # Closed doors: nothing of the machine, its user or its network is used. "" means no proxy, not even one of the
    # environment: it would connect on our behalf, past the guard.
    "proxy": "",
    "usenetrc": False,
    "cookiesfrombrowser": None,
    "external_downloader": None,
    "enable_file_urls": False,
    "cachedir": False,
    "geo_bypass": False,
    "allow_unplayable_formats": False,
    "hls_prefer_native": True,  # ffmpeg never goes to the network
    # Resume at the byte; the server's date says nothing about our file.
    "continuedl": True,
    "nopart": False,
    "updatetime": False,
    # Small repairs inside an attempt; the job retries outside, with pauses.
    "retries": 2,
    "fragment_retries": 2,
    "extractor_retries": 1,
    "file_access_retries": 0,
    "skip_unavailable_fragments": False,  # a film with holes is no success
    "concurrent_fragment_downloads": 3,
}
