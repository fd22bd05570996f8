"""Parses a metadata entry of Plex into a row of the catalogue; on the hot path of a sync.

Plex omits unknown values, or sends 0, -1 or another type in their place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from hashlib import blake2b
from math import isfinite
from time import time
from typing import Any, NamedTuple

import orjson

from engine.clients.foreign_json import objects
from engine.plex.answers.external_ids import external_ids

TYPE_NUMBERS = {"movie": 1, "show": 2, "season": 3, "episode": 4}

Metadata = Mapping[str, Any]

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_RESOLUTIONS = {"sd": 0, "480": 480, "576": 576, "720": 720, "1080": 1080, "2k": 1440, "4k": 2160, "8k": 4320}
_LONGEST_TEXT = 20_000
_GENRES_IN_LISTS = 2
_MOST_YEAR = 9999
_HIGHEST_RATING = 10
_AHEAD = 86_400  # seconds of clock skew of a server; a time further in the future is not believed
_MOST = 2**63 - 1


class Row(NamedTuple):
    """What the catalogue keeps of an item; times are Unix seconds, as Plex gives them, files are JSON."""

    rating_key: str
    type: str
    parent_key: str | None
    grandparent_key: str | None
    guid: str | None
    imdb_id: str | None
    tmdb_id: str | None
    tvdb_id: str | None
    title: str
    sort_title: str
    original_title: str | None
    show_title: str | None
    edition: str | None
    year: int | None
    item_index: int | None
    parent_index: int | None
    released: str | None
    summary: str | None
    studio: str | None
    content_rating: str | None
    rating: float | None
    duration: int | None
    genres: list[str] | None
    thumb: str | None
    art: str | None
    child_count: int | None
    leaf_count: int | None
    resolution: str | None
    size: int | None
    file: str | None
    files: str | None
    added_at: int | None
    updated_at: int | None


# All that `row_of` reads, but for `updatedAt` (see `fingerprint`).
_READ = (
    "type", "parentRatingKey", "grandparentRatingKey", "guid", "Guid", "title", "titleSort", "originalTitle",
    "grandparentTitle", "parentTitle", "editionTitle", "year", "index", "parentIndex", "originallyAvailableAt",
    "summary", "studio", "contentRating", "rating", "duration", "Genre", "thumb", "art", "childCount", "leafCount",
    "addedAt", "Media",
)  # fmt: skip

_ART = Row._fields.index("art")


class Unreadable(Exception):
    """An item that can't be parsed; the text is its rating key."""


def row_of(item: Metadata) -> Row | None:
    """The row of a film, show, season or episode; None for anything else, and for entries without a key.

    Raises:
        Unreadable: a required field is missing or of the wrong type.
    """
    try:
        return _row_of(item)
    except (TypeError, AttributeError, KeyError, ValueError) as error:
        raise Unreadable(str(item.get("ratingKey"))) from error


def _row_of(item: Metadata) -> Row | None:
    get = item.get
    key, kind = get("ratingKey"), get("type")
    if not key or kind not in TYPE_NUMBERS:
        return None  # "All episodes" has no key
    guid = text_of(get("guid"))
    ids = external_ids(guid, get("Guid"))
    title = text_of(get("title")) or ""
    file, files, resolution, size = _files(get("Media"))
    genres = objects(get("Genre"))
    return Row(
        str(key),
        kind,
        _key(get("parentRatingKey")),
        _key(get("grandparentRatingKey")),
        guid,
        ids.get("imdb"),
        ids.get("tmdb"),
        ids.get("tvdb"),
        title,
        (text_of(get("titleSort")) or title).casefold(),
        text_of(get("originalTitle")),
        text_of(get("grandparentTitle")) if kind == "episode" else text_of(get("parentTitle")),
        text_of(get("editionTitle")),
        _within(int_of(get("year")), _MOST_YEAR),
        int_of(get("index")),
        int_of(get("parentIndex")),
        _day(get("originallyAvailableAt")),
        text_of(get("summary")),
        text_of(get("studio")),
        text_of(get("contentRating")),
        _rating(get("rating")),
        _within(int_of(get("duration")), _MOST),
        [text for tag in genres if (text := text_of(tag.get("tag")))] if genres else None,
        text_of(get("thumb")),
        text_of(get("art")),
        int_of(get("childCount")),
        int_of(get("leafCount")),
        resolution,
        size,
        file,
        files,
        _seconds(get("addedAt")),
        _seconds(get("updatedAt")),
    )


def fingerprint(section_key: str, row: Row) -> int:
    """A 64-bit hash of a row and its library: different rows have different ones, but for collisions.

    Left out are `updated_at`, which Plex changes for fields that we don't keep; the background picture of seasons and
    episodes, which is the show's; and what the answer about one item has and a list lacks: languages, and genres
    after the second.
    """
    if row.genres and len(row.genres) > _GENRES_IN_LISTS:
        row = row._replace(genres=row.genres[:_GENRES_IN_LISTS])
    if row.files and '"languages":[' in row.files:
        versions = [{**version, "languages": None} for version in orjson.loads(row.files)]
        row = row._replace(files=orjson.dumps(versions).decode())
    seen = orjson.dumps((section_key, row.parent_key is None and row.art, *row[:_ART], *row[_ART + 1 : -1]))
    return int.from_bytes(blake2b(seen, digest_size=8).digest(), "big", signed=True)


def listed_print(section_key: str, item: Metadata) -> int:
    """A 64-bit hash of the raw fields of a listed entry that `row_of` reads, at a quarter of its cost.

    The same hash means the same row. Another hash need not mean a change: server versions format fields differently.
    """
    get = item.get
    told = orjson.dumps((section_key, *[get(name) for name in _READ]))
    return int.from_bytes(blake2b(told, digest_size=8).digest(), "big", signed=True)


def is_ahead(item: Metadata) -> bool:
    """Whether `addedAt` lies in the future of the server's clock: it is stored as unknown until then."""
    return (int_of(item.get("addedAt")) or 0) > time() + _AHEAD


def _files(told: Any) -> tuple[str | None, str | None, str | None, int | None]:
    """The first file, the versions as JSON, the best resolution among them, and the bytes of all files."""
    media = objects(told)
    if not media:
        return None, None, None, None
    first, versions, best, size = None, [], None, 0
    for version in media:
        resolution = version.get("videoResolution")
        if resolution is not None and _height(resolution) > _height(best):
            best = str(resolution)
        parts = [
            {
                "file": part.get("file"),
                "size": int_of(part.get("size")),
                "duration": int_of(part.get("duration")),
            }
            for part in objects(version.get("Part"))
        ]
        if first is None and parts:
            first = text_of(parts[0]["file"])
        size += sum(part["size"] or 0 for part in parts)
        versions.append(
            {
                "resolution": resolution,
                "videoCodec": version.get("videoCodec"),
                "audioCodec": version.get("audioCodec"),
                "audioChannels": version.get("audioChannels"),
                "container": version.get("container"),
                "bitrate": version.get("bitrate"),
                "width": version.get("width"),
                "height": version.get("height"),
                "languages": _languages(version),
                "parts": parts,
            }
        )
    files = orjson.dumps(versions).decode()
    if "\\u0000" in files:  # PostgreSQL takes no NUL
        files = orjson.dumps(_without_nul(versions)).decode()
    return first, files, best, min(size, _MOST)


def _without_nul(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\0", "")
        case list():
            return [_without_nul(one) for one in value]
        case dict():
            return {_without_nul(name): _without_nul(one) for name, one in value.items()}
    return value


def _languages(version: Metadata) -> list[str] | None:
    """Of the audio streams, where Plex lists them."""
    streams = [stream for part in objects(version.get("Part")) for stream in objects(part.get("Stream"))]
    if not streams:
        return None
    spoken = [
        stream.get("languageTag") or stream.get("languageCode")
        for stream in streams
        if stream.get("streamType") == 2
    ]
    return sorted({str(language) for language in spoken if language})


def _height(resolution: Any) -> int:
    if resolution is None:
        return -1
    text = str(resolution).lower()
    return _RESOLUTIONS.get(text, int(text) if text.isdecimal() else 0)


def text_of(value: Any) -> str | None:
    """A text that PostgreSQL takes: not empty, without NUL, cut to a limit; None for anything but text and numbers."""
    if value == "" or not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    text = str(value)
    if "\0" in text:
        text = text.replace("\0", "")
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT]


def _key(value: Any) -> str | None:
    return str(value) if value else None


def int_of(value: Any) -> int | None:
    """A whole number, also where it came as text; None for what is none."""
    if type(value) is int:
        return value if -_MOST <= value <= _MOST else None
    try:
        number = None if value is None else int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number is not None and -_MOST <= number <= _MOST else None


def _rating(value: Any) -> float | None:
    try:
        number = None if value is None else float(value)
    except (TypeError, ValueError):
        return None
    return number if number is not None and isfinite(number) and 0 <= number <= _HIGHEST_RATING else None


def _within(number: int | None, most: int) -> int | None:
    """A number within its bounds, else None: Plex writes 0 or -1 for unknown values."""
    return number if number is not None and 0 < number <= most else None


def _seconds(value: Any) -> int | None:
    """Unix seconds of a past event; None for a missing, impossible or future time."""
    return _within(int_of(value), int(time()) + _AHEAD)


def time_of(value: Any) -> datetime | None:
    """Unix seconds of Plex as a datetime; None for a missing or impossible time."""
    seconds = _seconds(value)
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _day(value: Any) -> str | None:
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        return None
    try:
        date.fromisoformat(value)
    except ValueError:
        return None
    return value
