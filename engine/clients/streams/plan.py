"""What a stream in pieces consists of: each piece with what is asked for, and how a later attempt knows it again."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from urllib.parse import parse_qsl, urlencode, urlsplit

from engine.clients.fetch_errors import FetchError
from engine.clients.streams.source import Span

MOST_PIECES = 200_000
LARGEST_PIECE = 1 << 30  # bytes

# Of a query: what a site signs anew each time tells no two pieces apart.
_SIGNED = re.compile(
    r"(?i)(token|sig|signature|hmac|hash|auth\w*|policy|key.?pair.?id|session|sid|ticket|nonce|expires?|exp|e|st|et|ts|_)"
)
_TIME = re.compile(r"1[5-9]\d{8}(\d{3})?")  # seconds or milliseconds since 1970
_LONGEST_NAME = 40  # characters of a value that is no token
_AKAMAI = re.compile(r"\b(?:hmac|exp)=")  # a signature that is a folder
_YOUTUBE = "/videoplayback"
_YOUTUBE_NAMES = {
    "itag",
    "xtags",
    "lmt",
    "sq",
    "range",
}  # what tells its pieces apart; all else is the visit's


@dataclass(frozen=True)
class Key:
    """AES-128 in CBC mode (RFC 8216, 4.3.2.4): the key itself or where it is, and the initialisation vector."""

    iv: bytes
    uri: str = ""
    value: bytes | None = None


@dataclass(frozen=True)
class Piece:
    """One resource or a range of it, as it is asked for.

    Attributes:
        seconds: its length by the playlist or manifest.
        number: HLS's media sequence number, else its place.
        is_map: an initialisation section, which every piece after it needs.
    """

    url: str
    number: int
    span: Span | None = None
    key: Key | None = None
    seconds: float | None = None
    is_map: bool = False

    @cached_property
    def asked(self) -> str:
        """The same for the same piece in every attempt, another one for another piece; holds no secret."""
        key = (_lasting(self.key.uri), self.key.iv.hex()) if self.key else None
        told = (_lasting(self.url), self.number, self.span, key, self.seconds, self.is_map)
        return blake2b(json.dumps(told).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class TransferPlan:
    """All pieces in their order; `seconds` is what the source promises of them together, give or take `unsure`."""

    pieces: Sequence[Piece]
    seconds: float | None
    unsure: float = 0.0

    def __post_init__(self) -> None:
        if len(self.pieces) > MOST_PIECES:
            raise FetchError("too_large", detail=f"more than {MOST_PIECES} pieces")
        if all(piece.is_map for piece in self.pieces):
            raise FetchError("no_format", detail="a playlist without anything to play")

    @property
    def size(self) -> int | None:
        """Bytes of all pieces, where their ranges say so."""
        spans = [piece.span for piece in self.pieces if piece.key is None]
        ends = [span.end - span.first for span in spans if span is not None and span.end is not None]
        return sum(ends) if len(ends) == len(self.pieces) else None


def _lasting(url: str) -> str:
    """A URL without its host and whatever is made anew for each visit."""
    parts = urlsplit(url)
    if parts.scheme == "data":
        return url
    told = parse_qsl(parts.query, keep_blank_values=True)
    if parts.path.startswith(_YOUTUBE):  # names and values alternate there
        words = parts.path.split("/")[2:]
        told += zip(words[::2], words[1::2], strict=False)
        return urlencode([pair for pair in told if pair[0] in _YOUTUBE_NAMES])
    path = "/".join(word for word in parts.path.split("/") if not _AKAMAI.search(word))
    kept = [
        (name, value)
        for name, value in told
        if not _SIGNED.fullmatch(name) and not _TIME.fullmatch(value) and len(value) <= _LONGEST_NAME
    ]
    return f"{path}?{urlencode(kept)}" if kept else path
