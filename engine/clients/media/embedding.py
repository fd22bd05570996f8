"""Tags, chapters and cover that are embedded into a file, as ffmpeg's FFMETADATA text."""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.clients.fetch_signals import metadata_of, seconds_of, storable

_MOST_CHAPTERS = 1000
_SHORTEST_CHAPTER = 0.001  # seconds: one tick of the time base
_DESCRIPTION_LIMIT = 100_000  # characters; the database column has a lower limit
_UNNAMED = re.compile(r"(?:<Untitled Chapter \d+>)?")  # yt-dlp's placeholder, or nothing
# FFMETADATA's special characters, and CR, at which ffmpeg ends a line too.
_SPECIAL = frozenset("=;#\\\n\r")


@dataclass(frozen=True)
class Chapter:
    """From `start` to `end`, in seconds."""

    start: float
    end: float
    title: str


@dataclass(frozen=True)
class Embedding:
    """What to embed; `cover` is a JPEG or PNG file."""

    tags: Mapping[str, str] = field(default_factory=dict)
    chapters: Sequence[Chapter] = ()
    cover: Path | None = None


def worth_embedding(info: Mapping[str, Any]) -> bool:
    """Whether there is more than a direct file's name and Last-Modified, which don't justify a rewrite."""
    said = any(info.get(key) for key in ("channel", "uploader", "description", "thumbnail", "chapters"))
    return said or not info.get("direct")


def tags_of(info: Mapping[str, Any]) -> dict[str, str]:
    """The tags for a video, from yt-dlp's info dictionary."""
    metadata = metadata_of(info)
    tags = {
        "title": metadata.title,
        "artist": metadata.channel,
        "date": metadata.upload_date,
        "description": storable(info.get("description"), _DESCRIPTION_LIMIT),
        "comment": metadata.webpage_url,
    }
    return {key: value for key, value in tags.items() if value}


def chapters_of(info: Mapping[str, Any], seconds: float) -> tuple[Chapter, ...]:
    """The page's chapters cut to a film of `seconds`: in order, without overlaps and empty ones.

    If two overlap, the later one's start ends the earlier one.
    """
    raw = info.get("chapters")
    listed = list(raw)[:_MOST_CHAPTERS] if isinstance(raw, list | tuple) else []
    known = sorted(_valid_chapters(listed), key=lambda chapter: chapter.start)
    following = [chapter.start for chapter in known[1:]] + [seconds]
    cut = (
        Chapter(chapter.start, min(chapter.end, after, seconds), chapter.title)
        for chapter, after in zip(known, following, strict=False)
    )
    return tuple(chapter for chapter in cut if chapter.end - chapter.start >= _SHORTEST_CHAPTER)


def _valid_chapters(chapters: Sequence[Any]) -> Iterator[Chapter]:
    for number, chapter in enumerate(chapters, start=1):
        if not isinstance(chapter, Mapping):
            continue
        start = seconds_of(chapter.get("start_time") or 0)
        end = math.inf if chapter.get("end_time") is None else seconds_of(chapter["end_time"])
        if start is not None and end is not None and end > start:
            title = storable(chapter.get("title"), 300) or ""
            yield Chapter(start, end, f"Chapter {number}" if _UNNAMED.fullmatch(title) else title)


def ffmetadata(embedding: Embedding, container: str) -> str:
    """Tags and chapters as FFMETADATA text; for `opus` with the cover too."""
    tags = dict(embedding.tags)
    if container == "opus" and "comment" in tags:
        tags["PURL"] = tags.pop("comment")  # ffmpeg would write it as a second DESCRIPTION
    if embedding.cover and container == "opus":
        tags["METADATA_BLOCK_PICTURE"] = _picture_block(embedding.cover)
    lines = [";FFMETADATA1", *(f"{_escaped(key)}={_escaped(value)}" for key, value in tags.items())]
    for chapter in embedding.chapters:
        lines += ["[CHAPTER]", "TIMEBASE=1/1000"]
        lines += [f"START={round(chapter.start * 1000)}", f"END={round(chapter.end * 1000)}"]
        lines += [f"title={_escaped(chapter.title)}"]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Escape special characters and drop NUL, at which ffmpeg would stop reading."""
    return "".join(f"\\{each}" if each in _SPECIAL else each for each in text.replace("\0", ""))


def _picture_block(cover: Path) -> str:
    """The cover for Ogg: a FLAC picture block in base64 (RFC 9639, 8.8); type 3 is the front cover."""
    kind = b"image/png" if cover.suffix == ".png" else b"image/jpeg"
    data = cover.read_bytes()
    head = struct.pack(">II", 3, len(kind)) + kind + struct.pack(">IIIIII", 0, 0, 0, 0, 0, len(data))
    return base64.b64encode(head + data).decode("ascii")
