"""Checks an MP4 or QuickTime file (ISO 14496-12): is it complete, and are its header's counts possible."""

from __future__ import annotations

import struct
from typing import NamedTuple

from engine.clients.media.endings.ending import Ending, ImplausibleError, UnitReader
from engine.clients.media.endings.mp4_boxes import Box, boxes, inside, number, u32
from engine.clients.media.endings.mp4_samples import last_sample_end, sample_count, tables_of

_LARGEST_MOVIE_HEADER = 256 << 20
_MOST_SAMPLES = 20_000_000  # each costs FFmpeg some 40 bytes of memory; a day of audio has 4 million
_TOP = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp", b"sidx", b"moof", b"uuid"}


class _Header(NamedTuple):
    """The `moov` box: duration of all fragments in seconds, end of the last sample, whether fragments follow."""

    seconds: float | None
    furthest: int
    pieces: bool


def ending(reader: UnitReader) -> Ending:
    """Walk all boxes and sample tables, without reading media data.

    Raises:
        ImplausibleError: sample counts that the file's bytes cannot hold.
    """
    movie = pieces = fragments = False
    overrun, seconds, indexed = None, None, 0
    for box in boxes(reader, 0, reader.size):
        if box.end > reader.size:
            overrun = box.kind
            break
        if box.kind == b"moov":
            movie = True
            header = _movie(reader, box)
            seconds, indexed = header.seconds, max(indexed, header.furthest)
            pieces = header.pieces
        elif box.kind == b"sidx" and not fragments:
            indexed_seconds, furthest = _segment_index(reader, box)
            seconds, indexed = max(seconds or 0.0, indexed_seconds), max(indexed, furthest)
        elif box.kind == b"moof":
            pieces = fragments = True
            _fragment(reader, box)
    # The sample tables are more reliable than the size of `mdat`: all samples may be there though it is too large.
    harmless = overrun == b"mdat" and movie and not pieces
    foreign = not movie and not pieces and overrun not in _TOP
    cut = indexed > reader.size or (overrun is not None and not harmless and not foreign)
    return Ending(cut=cut, pieces=pieces, seconds=seconds or None)


def _movie(reader: UnitReader, movie: Box) -> _Header:
    if movie.end - movie.body > _LARGEST_MOVIE_HEADER:
        raise ImplausibleError("a header of more than 256 MB")
    scale, announced, furthest, samples = 0, None, 0, 0
    sound = pieces = False
    for box in inside(reader, movie):
        if box.kind == b"mvhd":
            scale = number(reader, box, 12, 20)
        elif box.kind == b"mehd":
            announced = number(reader, box, 4, 4, wide=8)
        elif box.kind == b"cmvd" and u32(reader, box.body) > _LARGEST_MOVIE_HEADER:
            raise ImplausibleError("a packed header of more than 256 MB")
        elif box.kind == b"hdlr":
            component, subtype = reader.at(box.body + 4, 4), reader.at(box.body + 8, 4)
            if component != b"dhlr":  # QuickTime has two handlers: of media and of data
                sound = subtype == b"soun"
        elif box.kind == b"mvex":
            pieces = True
        elif box.kind == b"stbl":
            tables = tables_of(reader, box)
            samples += sample_count(reader, tables, sound=sound)
            furthest = max(furthest, last_sample_end(reader, tables))
    if samples > _MOST_SAMPLES:
        raise ImplausibleError(f"{samples} samples")
    return _Header(announced / scale if announced and scale else None, furthest, pieces)


def _fragment(reader: UnitReader, fragment: Box) -> None:
    for box in inside(reader, fragment):
        if box.kind == b"trun":
            count = u32(reader, box.body + 4)
            flags = u32(reader, box.body) & 0xFFFFFF
            width = 4 * (flags >> 8 & 0xF).bit_count()
            if count * width > box.end - box.body or count > reader.size:
                raise ImplausibleError(f"{count} samples in a run of {box.end - box.body} bytes")
            reader.count(count)


def _segment_index(reader: UnitReader, box: Box) -> tuple[float, int]:
    """Duration in seconds and end offset of the fragments that a `sidx` box lists (8.16.3)."""
    head = reader.at(box.body, 32)
    if len(head) < 32:
        return 0.0, 0
    version, scale = head[0], struct.unpack_from(">I", head, 8)[0]
    at = 20 if version == 0 else 28
    offset = struct.unpack_from(">I", head, 16)[0] if version == 0 else struct.unpack_from(">Q", head, 20)[0]
    count = struct.unpack_from(">H", reader.at(box.body + at + 2, 2))[0]
    if box.body + at + 4 + count * 12 > box.end:
        raise ImplausibleError("an index larger than its box")
    entries = struct.iter_unpack(">III", reader.at(box.body + at + 4, count * 12))
    length = seconds = 0
    for reference, duration, _ in entries:
        length += reference & 0x7FFFFFFF
        seconds += duration
    return (seconds / scale if scale else 0.0), box.end + offset + length
