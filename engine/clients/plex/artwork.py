"""Posters and backgrounds from a Plex server, scaled by it; only pictures come through."""

from __future__ import annotations

from engine.clients.pictures import Picture, picture_of
from engine.clients.plex.errors import PlexGarbled
from engine.clients.plex.http import PlexClient

MOST_BYTES = 5 << 20
_ACCEPT = "image/jpeg, image/png, image/webp"


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
    picture = picture_of(body)
    if picture is None:
        raise PlexGarbled("What the server sends is no picture.")
    return picture
