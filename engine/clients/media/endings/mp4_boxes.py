"""Finds boxes of MP4 and QuickTime files (ISO 14496-12, 4.2) and reads numbers in them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from engine.clients.media.endings.ending import ImplausibleError, UnitReader

_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvex", b"moof", b"traf", b"cmov"}


class Box(NamedTuple):
    """A box: its type, the offset of its body, and its end by its own length field."""

    kind: bytes
    body: int
    end: int


def boxes(reader: UnitReader, start: int, end: int) -> Iterator[Box]:
    """The boxes between two offsets; the last may end beyond `end`."""
    offset = start
    while offset + 8 <= end:
        reader.count()
        head = reader.at(offset, 16)
        if len(head) < 8:
            return
        length, kind = struct.unpack_from(">I4s", head)
        body = offset + 8
        if length == 1 and len(head) == 16:
            length, body = struct.unpack_from(">Q", head, 8)[0], offset + 16
        elif length == 0:
            length = end - offset
        if length < body - offset:
            return  # padding, or the end of a QuickTime list
        yield Box(kind, body, offset + length)
        offset += length


def inside(reader: UnitReader, box: Box) -> Iterator[Box]:
    """All boxes below a box, recursively.

    Raises:
        ImplausibleError: one is larger than its parent.
    """
    for inner in boxes(reader, box.body, box.end):
        if inner.end > box.end:
            raise ImplausibleError(f"{inner.kind!r} is larger than what it is in")
        yield inner
        if inner.kind in _CONTAINERS:
            yield from inside(reader, inner)


def number(reader: UnitReader, box: Box, narrow_at: int, wide_at: int, *, wide: int = 4) -> int:
    """A field whose offset (and width in bytes) depends on the box's version: 0 (narrow) or 1 (wide)."""
    version = (reader.at(box.body, 1) or b"\0")[0]
    if version == 0:
        return u32(reader, box.body + narrow_at)
    return int.from_bytes(reader.at(box.body + wide_at, wide))


def u32(reader: UnitReader, offset: int) -> int:
    """The big-endian 32-bit number at `offset`."""
    return int.from_bytes(reader.at(offset, 4))
