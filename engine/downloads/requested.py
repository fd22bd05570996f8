"""A request for a download: checked, and as the columns of its row."""

from __future__ import annotations

from typing import Any

from config.settings import Settings
from engine.correlation import correlation_id
from engine.downloads.sources import urls as source_urls
from engine.errors import ValidationFailed
from engine.formats import AUDIO_FORMATS, FORMATS, QUALITIES
from engine.storage.layout import confine
from models.base import new_id


def row(
    settings: Settings,
    *,
    user_id: str,
    url: str,
    quality: str | None = None,
    format: str | None = None,  # noqa: A002 - the API's word
    download_path: str | None = None,
) -> dict[str, Any]:
    """The columns of the row that `downloads.create` makes, with what that raises of the wish."""
    source = source_urls.accept(url, settings)
    quality, format = choose(quality, format)  # noqa: A001
    return {
        "id": new_id("dl"),
        "user_id": user_id,
        "status": "queued",
        "url": url,
        "url_key": source.key,
        "host": source.budget,
        "quality": quality,
        "format": format,
        "folder": confine(download_path, settings.download_dir),
        "correlation_id": correlation_id(),
    }


def choose(quality: str | None, format_: str | None) -> tuple[str, str]:
    """Fill in what is missing of quality and format, each by the other.

    Raises:
        ValidationFailed: an unknown value, or quality `audio` with a video format.
    """
    if format_ is not None and format_ not in FORMATS:
        raise ValidationFailed("Unknown format.", format=f"Must be one of: {', '.join(FORMATS)}.")
    if quality is not None and quality not in QUALITIES:
        raise ValidationFailed("Unknown quality.", quality=f"Must be one of: {', '.join(QUALITIES)}.")
    if format_ in AUDIO_FORMATS:
        return "audio", format_
    if quality == "audio":
        if format_ is not None:
            raise ValidationFailed(
                "Audio can't be put into a video format.",
                format=f"With quality audio, must be one of: {', '.join(AUDIO_FORMATS)}.",
            )
        return "audio", "m4a"
    return quality or "best", format_ or "mp4"
