"""Addresses of posters and backgrounds, for clients and for pages."""

from __future__ import annotations

from urllib.parse import urlencode

from api.wire.unversioned_paths import PREFIX
from config.settings import Settings
from engine.plex.catalogue import artwork


def picture_url(
    settings: Settings, subject: str, kind: artwork.Kind, source: str | None, width: int | None = None
) -> str | None:
    """The signed address of a picture, from the root of the site; None where there is none.

    Args:
        settings: with the key.
        subject: of `artwork.query`.
        kind: which of its pictures.
        source: its path at Plex.
        width: one of `artwork.WIDTHS`; None: the usual one.
    """
    query = artwork.query(settings, subject, kind, source)
    if query is None:
        return None
    if width is not None:
        query["width"] = str(width)
    return f"{PREFIX}/plex/artwork/{subject}?{urlencode(query)}"
