"""Addresses of our own copies of TMDB's pictures: signed, so that nobody has us fetch what no page shows."""

from __future__ import annotations

import base64
import binascii

from config.settings import Settings
from engine.errors import Forbidden, NotFound
from engine.secrets import keys
from engine.titles import normal

SIZES = ("w185", "w342", "w500", "w780", "w1280")

_SIGNATURE_BYTES = 16


def address(settings: Settings, path: str | None, size: str) -> str | None:
    """The path of a picture on our site, with its signature; None where there is none.

    Args:
        settings: with the key.
        path: TMDB's, beginning with `/`.
        size: one of `SIZES`.
    """
    if path is None:
        return None
    signature = keys.sign(settings, keys.PICTURES, f"{size}{path}".encode())[:_SIGNATURE_BYTES]
    return f"pictures/tmdb/{size}{path}?sig={base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def source(settings: Settings, size: str, name: str, signature: str) -> str:
    """Where TMDB has a picture that one of our pages shows.

    Raises:
        Forbidden: the address was not made by us.
        NotFound: TMDB has no such sizes or names.
    """
    path = normal.picture_path(f"/{name}")
    if size not in SIZES or path is None:
        raise NotFound("There is no such picture.")
    try:
        raw = base64.urlsafe_b64decode(signature + "==")
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _SIGNATURE_BYTES or not keys.signer(
        settings, keys.PICTURES, f"{size}{path}".encode(), raw
    ):
        raise Forbidden("The signature does not fit this picture.")
    return f"{settings.tmdb_image_url.rstrip('/')}/{size}{path}"
