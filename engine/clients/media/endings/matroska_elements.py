"""Walks the elements of a Matroska or WebM file (RFC 9559): does it end where its segment and clusters end."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from engine.clients.media.endings.ending import Ending, UnitReader

_SEGMENT, _INFO, _CLUSTER, _SCALE, _DURATION = 0x18538067, 0x1549A966, 0x1F43B675, 0x2AD7B1, 0x4489


class _Element(NamedTuple):
    """An element's id, and the offsets of its body and its end; `end` is None if its size is unknown (live streams)."""

    id: int
    body: int
    end: int | None


def ending(reader: UnitReader) -> Ending:
    """Walk from element to element; only clusters of unknown size are entered."""
    cut, seconds = False, None
    for element in _elements(reader):
        if element.end is not None and element.end > reader.size:
            cut = True
        if element.id == _INFO:
            seconds = _duration(reader, element)
    return Ending(cut=cut, seconds=seconds)


def _elements(reader: UnitReader) -> Iterator[_Element]:
    """Segments and their direct children; blocks too, if their cluster's size is unknown."""
    offset = 0
    while offset < reader.size:
        reader.count()
        element = _element(reader, offset)
        if element is None:
            if offset + 12 > reader.size and any(reader.at(offset, 12)):  # cut off within an element's head
                yield _Element(0, offset, reader.size + 1)
            return  # otherwise trailing bytes, which players ignore
        yield element
        enter = element.id == _SEGMENT or (element.id == _CLUSTER and element.end is None)
        offset = element.body if enter or element.end is None else element.end


def _element(reader: UnitReader, offset: int) -> _Element | None:
    head = reader.at(offset, 12)
    id_length = _width(head, 0, 4)
    if id_length is None:
        return None
    size_length = _width(head, id_length, 8)
    if size_length is None:
        return None
    body = id_length + size_length
    if body > len(head):
        return None
    identity = int.from_bytes(head[:id_length])
    mask = (1 << 7 * size_length) - 1
    size = int.from_bytes(head[id_length:body]) & mask
    if size == mask and identity not in {_SEGMENT, _CLUSTER}:
        return None  # only these may have an unknown size
    return _Element(identity, offset + body, None if size == mask else offset + body + size)


def _width(head: bytes, at: int, most: int) -> int | None:
    """Width in bytes of a variable-size integer: its leading zero bits plus one (RFC 8794, 4); None if over `most`."""
    if at >= len(head) or not head[at]:
        return None
    width = 9 - head[at].bit_length()
    return width if width <= most else None


def _duration(reader: UnitReader, info: _Element) -> float | None:
    scale, ticks = 1_000_000, None
    offset, end = info.body, min(info.end or 0, info.body + (1 << 20))
    while offset < end:
        element = _element(reader, offset)
        if element is None or element.end is None:
            break
        data = reader.at(element.body, min(element.end - element.body, 8))
        if element.id == _SCALE:
            scale = int.from_bytes(data)
        elif element.id == _DURATION and len(data) in {4, 8}:
            ticks = struct.unpack(">f" if len(data) == 4 else ">d", data)[0]
        offset = element.end
    seconds = ticks * scale / 1e9 if ticks is not None else None
    return seconds if seconds and 0 < seconds < 1e9 else None
