"""Fetches a video's thumbnail and checks that it is an image; a download succeeds without one too."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
from yt_dlp import YoutubeDL  # type: ignore[import-untyped]
from yt_dlp.networking import Request  # type: ignore[import-untyped]

from engine.clients.fetch_errors import FetchError
from engine.clients.media import ffmpeg_run

log = structlog.get_logger(__name__)

_LARGEST = 10 << 20  # bytes, decompressed
_MOST_PIXELS = "40000000"
_TIMEOUT = 30.0  # seconds for the whole transfer


def cover_of(ydl: YoutubeDL, ffmpeg: str, info: Mapping[str, Any], folder: Path) -> Path | None:
    """The thumbnail as a JPEG or PNG file in `folder`; None if there is none or it can't be decoded."""
    url = info.get("thumbnail")
    if not isinstance(url, str) or not url:
        return None
    image = _fetched(ydl, url, info.get("http_headers") or {})
    cover = _picture(ffmpeg, image, folder) if image else None
    if cover is None:
        log.warning("download.without_cover", size=len(image))
    return cover


def _fetched(ydl: YoutubeDL, url: str, headers: Any) -> bytes:
    """The body, or `b""`; in a thread, as a slow site could stretch it over hours without a socket timeout."""
    found: list[bytes] = []

    def read() -> None:
        try:
            with ydl.urlopen(Request(url, headers=headers)) as answer:
                found.append(answer.read(_LARGEST + 1))
        except Exception:  # noqa: BLE001 - network, status, or an invalid URL
            return

    reader = threading.Thread(target=read, name="cover", daemon=True)
    reader.start()
    reader.join(_TIMEOUT)
    return found[0] if found and len(found[0]) <= _LARGEST else b""


def _picture(ffmpeg: str, image: bytes, folder: Path) -> Path | None:
    """Write the image to a file if ffmpeg decodes it without errors; WebP is converted to JPEG."""
    if image.startswith(b"\xff\xd8\xff"):
        name, demuxer = "cover.jpg", "jpeg_pipe"
    elif image.startswith(b"\x89PNG\r\n\x1a\n"):
        name, demuxer = "cover.png", "png_pipe"
    elif image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        name, demuxer = "cover.webp", "webp_pipe"
    else:
        return None
    source, converted = folder / name, folder / "cover.jpg"
    source.write_bytes(image)
    strict = ("-err_detect", "explode", "-max_pixels", _MOST_PIXELS)
    reading = (*ffmpeg_run.LOCAL, *strict, "-f", demuxer, "-i", f"file:{source}", "-frames:v", "1")
    nowhere = ("-f", "null", "-")
    writing = ("-update", "1", "-q:v", "3", "-f", "image2", f"file:{converted}")
    webp = demuxer == "webp_pipe"
    try:
        ffmpeg_run.run([ffmpeg, *reading, *(writing if webp else nowhere)], None, lambda _part: None)
    except FetchError as error:
        if error.kind == "disk_full":
            raise
        source.unlink(missing_ok=True)
        return None
    return converted if webp else source
