"""The plan of a stream in pieces: URL, byte range and key of each, and a fingerprint that is stable over attempts."""

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

# Query parameters that sites sign anew for each visit: they are not part of a piece's fingerprint.
_PER_VISIT = re.compile(
    r"(?i)(token|sig|signature|hmac|hash|auth\w*|policy|key.?pair.?id|session|sid|ticket|nonce|expires?|exp|e|st|et|ts|_)"
)
_TIME = re.compile(r"1[5-9]\d{8}(\d{3})?")  # seconds or milliseconds since 1970
_LONGEST_NAME = 40  # characters; a longer value is taken for a token
_AKAMAI = re.compile(r"\b(?:hmac|exp)=")  # a signature as a folder of the path
_YOUTUBE = "/videoplayback"
_YOUTUBE_NAMES = {"itag", "xtags", "lmt", "sq", "range"}  # they identify a piece; the others are per visit


@dataclass(frozen=True)
class Key:
    """AES-128 in CBC mode (RFC 8216, 4.3.2.4): the initialisation vector, and the key or its URI."""

    iv: bytes
    uri: str = ""
    value: bytes | None = None


@dataclass(frozen=True)
class Piece:
    """A segment: a resource or a byte range of one.

    Attributes:
        seconds: its duration by the playlist or manifest.
        number: HLS's media sequence number, for DASH the index.
        is_map: it is an initialisation section, which all pieces after it need.
    """

    url: str
    number: int
    span: Span | None = None
    key: Key | None = None
    seconds: float | None = None
    is_map: bool = False

    @cached_property
    def fingerprint(self) -> str:
        """A hash that is equal for the same piece in every attempt, and contains no secret."""
        key = (_stable_url(self.key.uri), self.key.iv.hex()) if self.key else None
        values = (_stable_url(self.url), self.number, self.span, key, self.seconds, self.is_map)
        return blake2b(json.dumps(values).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class TransferPlan:
    """All pieces in order; `seconds` is their total duration by the source, with the tolerance `unsure`."""

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
        """Bytes of all pieces; None unless all are unencrypted byte ranges."""
        spans = [piece.span for piece in self.pieces if piece.key is None]
        ends = [span.end - span.first for span in spans if span is not None and span.end is not None]
        return sum(ends) if len(ends) == len(self.pieces) else None


def _stable_url(url: str) -> str:
    """A URL without its host, and without signatures, tokens and timestamps."""
    parts = urlsplit(url)
    if parts.scheme == "data":
        return url
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    if parts.path.startswith(_YOUTUBE):  # the path consists of names and values in turn
        words = parts.path.split("/")[2:]
        pairs += zip(words[::2], words[1::2], strict=False)
        return urlencode([pair for pair in pairs if pair[0] in _YOUTUBE_NAMES])
    path = "/".join(word for word in parts.path.split("/") if not _AKAMAI.search(word))
    kept = [
        (name, value)
        for name, value in pairs
        if not _PER_VISIT.fullmatch(name) and not _TIME.fullmatch(value) and len(value) <= _LONGEST_NAME
    ]
    return f"{path}?{urlencode(kept)}" if kept else path
