"""Posters and backgrounds from a Plex server, scaled by it; only pictures come through."""

from __future__ import annotations

from dataclasses import dataclass

from engine.clients.plex.errors import PlexGarbled
from engine.clients.plex.http import PlexClient

MOST_BYTES = 5 << 20
_ACCEPT = "image/jpeg, image/png, image/webp"


@dataclass(frozen=True)
class Picture:
    """A picture; `type` is what its first bytes say, not what a header claims."""

    type: str
    body: bytes


def fetch(plex: PlexClient, source: str, width: int, height: int) -> Picture:
    """A picture of the server that fits into a box of this size.

    Args:
        plex: the server.
        source: its path, as the server tells it.
        width: pixels.
        height: pixels.

    Raises:
        PlexError: one of its kinds; PlexGarbled where it is no picture, or larger than 5 MiB.
    """
    query = {"url": source, "width": width, "height": height, "minSize": 0, "upscale": 0}
    body = plex.body("/photo/:/transcode", query, headers={"Accept": _ACCEPT}, most=MOST_BYTES)
    kind = type_of(body)
    if kind is None:
        raise PlexGarbled("What the server sends is no picture.")
    return Picture(kind, body)


def type_of(body: bytes) -> str | None:
    """The media type of a JPEG, PNG or WebP; None for anything else."""
    if body.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    return None
