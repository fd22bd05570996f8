"""The versions of an item, such as that in 4k beside that in 1080, and the files of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.media import MediaItem


@dataclass(frozen=True)
class ItemFile:
    """One file of a version.

    Attributes:
        path: as the Plex server sees it.
        size: bytes.
        duration: milliseconds.
    """

    path: str | None
    size: int | None
    duration: int | None


@dataclass(frozen=True)
class ItemVersion:
    """One version of a film or episode.

    Attributes:
        resolution: as Plex says: 4k, 1080, 720, sd.
        bitrate: kbit/s.
        languages: codes of ISO 639; None where Plex has not told them.
    """

    resolution: str | None
    video_codec: str | None
    audio_codec: str | None
    audio_channels: int | None
    container: str | None
    bitrate: int | None
    width: int | None
    height: int | None
    languages: Sequence[str] | None
    files: Sequence[ItemFile]


def versions(item: MediaItem) -> Sequence[ItemVersion]:
    """The versions of an item, the first as Plex has it first."""
    return [_version(stored) for stored in item.files or ()]


def _version(stored: dict[str, Any]) -> ItemVersion:
    return ItemVersion(
        resolution=_text(stored.get("resolution")),
        video_codec=_text(stored.get("videoCodec")),
        audio_codec=_text(stored.get("audioCodec")),
        audio_channels=_number(stored.get("audioChannels")),
        container=_text(stored.get("container")),
        bitrate=_number(stored.get("bitrate")),
        width=_number(stored.get("width")),
        height=_number(stored.get("height")),
        languages=stored.get("languages"),
        files=[
            ItemFile(_text(part.get("file")), part.get("size"), part.get("duration"))
            for part in stored.get("parts") or ()
        ],
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _number(value: Any) -> int | None:
    """A number, which Plex sometimes sends as text; None where it is not one."""
    try:
        return None if value is None else int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None
