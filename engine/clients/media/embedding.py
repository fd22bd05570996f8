"""What is written into a file besides its media: tags, chapters and a cover, in ffmpeg's own text format."""

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
_SHORTEST_CHAPTER = 0.001  # seconds: the format's unit
_DESCRIPTION_LIMIT = 100_000  # characters; the row keeps less of it
_UNNAMED = re.compile(r"(?:<Untitled Chapter \d+>)?")  # yt-dlp's word for it
# A line ends at LF and at CR; the others have a meaning of their own somewhere in a line.
_SPECIAL = frozenset("=;#\\\n\r")


@dataclass(frozen=True)
class Chapter:
    """From `start` to `end`, in seconds."""

    start: float
    end: float
    title: str


@dataclass(frozen=True)
class Embedding:
    """`cover` is a JPEG or PNG file."""

    tags: Mapping[str, str] = field(default_factory=dict)
    chapters: Sequence[Chapter] = ()
    cover: Path | None = None


def worth_embedding(info: Mapping[str, Any]) -> bool:
    """A bare file has only a name and the server's date, which are not worth changing it for."""
    said = any(info.get(key) for key in ("channel", "uploader", "description", "thumbnail", "chapters"))
    return said or not info.get("direct")


def tags_of(info: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a video by yt-dlp's info dictionary."""
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
    """The page's chapters as they fit a film of that length: in order, one after the other, none empty.

    Where two overlap, the later one begins where the page says so and ends the earlier one.
    """
    told = info.get("chapters")
    listed = list(told)[:_MOST_CHAPTERS] if isinstance(told, list | tuple) else []
    known = sorted(_told(listed), key=lambda chapter: chapter.start)
    following = [chapter.start for chapter in known[1:]] + [seconds]
    cut = (
        Chapter(chapter.start, min(chapter.end, after, seconds), chapter.title)
        for chapter, after in zip(known, following, strict=False)
    )
    return tuple(chapter for chapter in cut if chapter.end - chapter.start >= _SHORTEST_CHAPTER)


def _told(chapters: Sequence[Any]) -> Iterator[Chapter]:
    for number, chapter in enumerate(chapters, start=1):
        if not isinstance(chapter, Mapping):
            continue
        start = seconds_of(chapter.get("start_time") or 0)
        end = math.inf if chapter.get("end_time") is None else seconds_of(chapter["end_time"])
        if start is not None and end is not None and end > start:
            title = storable(chapter.get("title"), 300) or ""
            yield Chapter(start, end, f"Chapter {number}" if _UNNAMED.fullmatch(title) else title)


def ffmetadata(embedding: Embedding, container: str) -> str:
    """ffmpeg's own text format for tags and chapters."""
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
    """NUL ends the text for ffmpeg, so it is left out."""
    return "".join(f"\\{each}" if each in _SPECIAL else each for each in text.replace("\0", ""))


def _picture_block(cover: Path) -> str:
    """The cover as Ogg keeps it: a FLAC picture block in base64 (RFC 9639, 8.8); 3 is the front cover."""
    kind = b"image/png" if cover.suffix == ".png" else b"image/jpeg"
    data = cover.read_bytes()
    head = struct.pack(">II", 3, len(kind)) + kind + struct.pack(">IIIIII", 0, 0, 0, 0, 0, len(data))
    return base64.b64encode(head + data).decode("ascii")
