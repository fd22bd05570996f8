"""What an attempt to fetch a video is told, tells on its way, and hands back: plain, picklable values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

Phase = Literal["extracting", "downloading", "processing"]

_LONGEST = 1e8  # seconds, three years: no film, and no number that any of our columns would refuse
TITLE_LIMIT = 500
DESCRIPTION_LIMIT = 5000


@dataclass(frozen=True, kw_only=True)
class FetchSpec:
    """One attempt.

    Attributes:
        quality, format: of `engine.formats`.
        work_dir: of this download alone and the same for all its attempts: what is in it is resumed (so the
            caller empties it when the wish changes).
        ffmpeg: path of the binary. generic: whether sites without an extractor of their own are tried.
        embed: write metadata, thumbnail and chapters into the file.
        socket_timeout: seconds of silence on a connection. max_bytes: refuse more than this.
        max_seconds: end the attempt when the transfer has taken longer than this.
        allow_private: whether loopback and private networks may be reached.
        cookies: the text of a cookie file; each site is shown its own. Never written to a disk.
    """

    url: str
    quality: str
    format: str
    work_dir: Path
    ffmpeg: str
    embed: bool = True
    generic: bool = True
    socket_timeout: float = 20.0
    max_bytes: int | None = None
    max_seconds: float | None = None
    allow_private: bool = False
    cookies: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What a site says of a video: bounded texts that any database takes, URLs without a login.

    `duration` is in seconds, `upload_date` is YYYY-MM-DD, `live_status` is not_live, was_live or None.
    """

    source_id: str
    extractor: str
    title: str
    webpage_url: str | None = None
    channel: str | None = None
    duration: float | None = None
    thumbnail: str | None = None
    live_status: str | None = None
    description: str | None = None
    upload_date: str | None = None


@dataclass(frozen=True)
class MetadataFound:
    """Sent once, before the first byte of media."""

    metadata: Metadata


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One point of the attempt's single line of progress.

    Attributes:
        downloaded_bytes, total_bytes: of all streams; the total may be a moving estimate, or unknown.
        speed: bytes a second. eta: seconds.
        fraction: of the whole attempt, ffmpeg's work included; never falls. None while nothing can be said.
    """

    phase: Phase
    downloaded_bytes: int = 0
    total_bytes: int | None = None
    speed: float | None = None
    eta: float | None = None
    fraction: float | None = None


Signal = MetadataFound | Progress
Emit = Callable[[Signal], None]


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A finished, probed file in the work folder; `container` is the format asked for, `duration` seconds."""

    path: Path
    size: int
    container: str
    height: int | None
    duration: float | None
    metadata: Metadata


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a URL holds, without fetching it; `heights` are the lines on offer, `qualities` our words for it."""

    metadata: Metadata
    heights: tuple[int, ...]
    qualities: tuple[str, ...]


def storable(value: object, limit: int) -> str | None:
    """At most `limit` characters that any database and encoder takes (no NUL, no lone surrogate), or None."""
    if not isinstance(value, str):
        return None
    text = value[: 2 * limit + 1000].replace("\0", "").encode("utf-8", "replace").decode("utf-8").strip()
    return text[:limit] or None


def seconds_of(value: object) -> float | None:
    """A number of seconds by an extractor, or None where it is none: a text, negative, not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < _LONGEST else None


def without_login(url: object) -> str | None:
    """An http(s) URL without `user:password@`; None for anything else."""
    text = storable(url, 2000)
    try:
        parts = urlsplit(text or "")
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return None
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _title(info: Mapping[str, Any]) -> str:
    title = storable(info.get("title"), TITLE_LIMIT) or "video"
    # yt-dlp numbers the videos of a page even when there is one only; several never get here.
    if info.get("extractor_key") == "HTML5MediaEmbed":
        title = title.removesuffix(" (1)")
    return title


def _date(info: Mapping[str, Any]) -> str | None:
    day = info.get("upload_date")
    told = any(info.get(key) for key in ("channel", "uploader", "description"))
    if info.get("direct") and not told:
        return None  # of a bare file it is only the server's Last-Modified
    if not isinstance(day, str) or not (len(day) == 8 and day.isdecimal()):
        return None
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"


def metadata_of(info: Mapping[str, Any]) -> Metadata:
    """Read yt-dlp's info dictionary of one video."""
    source_id = storable(info.get("id"), 200) or "unknown"
    if info.get("extractor_key") == "HTML5MediaEmbed":
        source_id = source_id.removesuffix("-1")
    return Metadata(
        source_id=source_id,
        extractor=storable(info.get("extractor_key") or info.get("extractor"), 100) or "unknown",
        title=_title(info),
        webpage_url=without_login(info.get("webpage_url")),
        channel=storable(info.get("channel") or info.get("uploader"), 200),
        duration=seconds_of(info.get("duration")),
        thumbnail=without_login(info.get("thumbnail")),
        live_status=storable(info.get("live_status"), 40),
        description=storable(info.get("description"), DESCRIPTION_LIMIT),
        upload_date=_date(info),
    )
