"""Pictures out of the internet: one request to a public address, bounded in time and size, and only real pictures."""

from __future__ import annotations

from dataclasses import dataclass

from engine.clients.http import HttpFailure, HttpSession, Limits

MOST_BYTES = 2 << 20
_LIMITS = Limits(connect=3.0, silence=3.0, total=6.0, size=MOST_BYTES)
_ACCEPT = "image/webp, image/jpeg, image/png, image/gif"


@dataclass(frozen=True)
class Picture:
    """A picture; `type` is what its first bytes say, not what a header claims."""

    type: str
    body: bytes


class NoPicture(Exception):
    """What is there is no picture, too large, or does not come in time."""


def fetch(url: str, *, allow_private: bool) -> Picture:
    """The picture at an address that a site has named.

    Args:
        url: of any scheme and host.
        allow_private: whether it may lie in a private network.

    Raises:
        NoPicture: there is none for us.
    """
    if not url.startswith(("http://", "https://")):
        raise NoPicture
    try:
        with HttpSession(_LIMITS, {"Accept": _ACCEPT}, public_only=not allow_private) as session:
            answer = session.get(url)
    except (HttpFailure, ValueError):
        raise NoPicture from None
    picture = picture_of(answer.content) if answer.status_code == 200 else None
    if picture is None:
        raise NoPicture
    return picture


def picture_of(body: bytes) -> Picture | None:
    """A JPEG, PNG, WebP or GIF by its first bytes; None for anything else."""
    kind = type_of(body)
    return None if kind is None else Picture(kind, body)


def type_of(body: bytes) -> str | None:
    """The media type of a JPEG, PNG, WebP or GIF; None for anything else."""
    if body.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    if body.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return None
