"""Small real pictures: a JPEG of fixed size, a PNG of any."""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache

from tests.fakes import media


@lru_cache(maxsize=1)
def jpeg() -> bytes:
    """A JPEG of a few kilobytes."""
    return media.sample("jpg").read_bytes()


@lru_cache(maxsize=8)
def png(width: int, height: int) -> bytes:
    """A grey PNG."""
    return packed(width, height, 0, (b"\0" + b"\x60" * width) * height)


def packed(width: int, height: int, colour: int, rows: bytes) -> bytes:
    """A PNG of 8 bits a channel; `colour` is its colour type, `rows` begin with a zero each."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
