"""Input, progress signals and result of an attempt to fetch a video: plain, picklable values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

Phase = Literal["extracting", "downloading", "processing"]

_LONGEST = 1e8  # seconds, three years: longer than any film, and it fits the database's columns
TITLE_LIMIT = 500
DESCRIPTION_LIMIT = 5000


@dataclass(frozen=True, kw_only=True)
class FetchSpec:
    """The input of one attempt.

    Attributes:
        quality, format: of `engine.formats`.
        work_dir: a folder for this download alone, the same for all its attempts, which resume what is in it. The
            caller empties it when URL, quality or format change.
        ffmpeg: path of the binary. generic: whether yt-dlp's generic extractor may be used.
        embed: whether to write metadata, thumbnail and chapters into the file.
        socket_timeout: seconds without data on a connection. max_bytes: the largest accepted size.
        max_seconds: the longest accepted time of the transfer.
        allow_private: whether loopback and private networks may be reached.
        cookies: the text of a Netscape cookie file, or None. Never written to disk.
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
    """A site's metadata of a video: texts of bounded length that PostgreSQL can store, URLs without credentials.

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
    """The attempt's progress at one moment.

    Attributes:
        downloaded_bytes, total_bytes: of all streams together; the total may be an estimate that changes, or unknown.
        speed: bytes per second. eta: seconds.
        fraction: 0 to 1 of the whole attempt, ffmpeg's work included; never decreases. None while unknown.
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
    """A finished, examined file in the work folder; `size` in bytes, `height` in pixels, `duration` in seconds."""

    path: Path
    size: int
    container: str
    height: int | None
    duration: float | None
    metadata: Metadata


@dataclass(frozen=True, kw_only=True)
class PreviewResult:
    """A URL's metadata, the available heights in pixels, and those as `engine.formats.QUALITIES`."""

    metadata: Metadata
    heights: tuple[int, ...]
    qualities: tuple[str, ...]


def storable(value: object, limit: int) -> str | None:
    """At most `limit` characters without NUL and lone surrogates; None if nothing is left or it is no text."""
    if not isinstance(value, str):
        return None
    text = value[: 2 * limit + 1000].replace("\0", "").encode("utf-8", "replace").decode("utf-8").strip()
    return text[:limit] or None


def seconds_of(value: object) -> float | None:
    """A number of seconds from an extractor; None if it is no number, negative or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < _LONGEST else None


def without_login(url: object) -> str | None:
    """An http(s) URL with `user:password@` removed; None for anything else."""
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
    # yt-dlp numbers a page's videos even if there is only one; pages with several are refused before.
    if info.get("extractor_key") == "HTML5MediaEmbed":
        title = title.removesuffix(" (1)")
    return title


def _date(info: Mapping[str, Any]) -> str | None:
    day = info.get("upload_date")
    has_page_metadata = any(info.get(key) for key in ("channel", "uploader", "description"))
    if info.get("direct") and not has_page_metadata:
        return None  # for a direct file yt-dlp takes the server's Last-Modified
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
