"""Walks the boxes of an MP4 or QuickTime file (ISO 14496-12): is it whole, can its sample tables be true."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from sys import byteorder
from typing import NamedTuple

from engine.clients.media_ending import Ending, ImplausibleError, Reader

_LARGEST_MOVIE_HEADER = 256 << 20
_MOST_SAMPLES = 20_000_000  # of one file: each costs FFmpeg some 40 bytes; a day of sound has 4 million
_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvex", b"moof", b"traf", b"cmov"}
_BLOCK = 1 << 16
# Bytes of an entry of each table, and where its count stands after version and flags.
_ENTRIES = {b"stts": 8, b"ctts": 8, b"stsc": 12, b"stco": 4, b"co64": 8, b"stss": 4}


class Box(NamedTuple):
    """A box: its four letters, where its body begins, where it ends by its own word."""

    kind: bytes
    body: int
    end: int


class _Header(NamedTuple):
    """What the movie header says: seconds of all fragments, where the last sample ends, whether fragments follow."""

    seconds: float | None
    furthest: int
    pieces: bool


class _Table(NamedTuple):
    """A sample table: how many entries from which offset on, how wide."""

    entries: int
    first: int
    width: int


def ending(reader: Reader) -> Ending:
    """Walk the whole file, header tables included, but no media.

    Raises:
        ImplausibleError: sample counts that the file's bytes cannot hold.
    """
    movie = pieces = fragments = False
    overrun, seconds, indexed = None, None, 0
    for box in _boxes(reader, 0, reader.size):
        if box.end > reader.size:
            overrun = box.kind
            break
        if box.kind == b"moov":
            movie = True
            header = _movie(reader, box)
            seconds, indexed = header.seconds, max(indexed, header.furthest)
            pieces = header.pieces
        elif box.kind == b"sidx" and not fragments:
            told, furthest = _segment_index(reader, box)
            seconds, indexed = max(seconds or 0.0, told), max(indexed, furthest)
        elif box.kind == b"moof":
            pieces = fragments = True
            _fragment(reader, box)
    # Samples say more than their box: one that claims a little more than the file has may hold all of them.
    harmless = overrun == b"mdat" and movie and not pieces
    cut = indexed > reader.size or (overrun is not None and not harmless)
    return Ending(cut=cut, pieces=pieces, seconds=seconds or None)


def _boxes(reader: Reader, start: int, end: int) -> Iterator[Box]:
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


def _inside(reader: Reader, box: Box) -> Iterator[Box]:
    """All boxes below, those of containers included."""
    for inner in _boxes(reader, box.body, box.end):
        if inner.end > box.end:
            raise ImplausibleError(f"{inner.kind!r} is larger than what it is in")
        yield inner
        if inner.kind in _CONTAINERS:
            yield from _inside(reader, inner)


def _movie(reader: Reader, movie: Box) -> _Header:
    if movie.end - movie.body > _LARGEST_MOVIE_HEADER:
        raise ImplausibleError("a header of more than 256 MB")
    scale, announced, furthest, samples = 0, None, 0, 0
    sound = pieces = False
    for box in _inside(reader, movie):
        if box.kind == b"mvhd":
            scale = _number(reader, box, 12, 20)
        elif box.kind == b"mehd":
            announced = _number(reader, box, 4, 4, wide=8)
        elif box.kind == b"cmvd" and _u32(reader, box.body) > _LARGEST_MOVIE_HEADER:
            raise ImplausibleError("a packed header of more than 256 MB")
        elif box.kind == b"hdlr":
            sound = reader.at(box.body + 8, 4) == b"soun"
        elif box.kind == b"mvex":
            pieces = True
        elif box.kind == b"stbl":
            tables = {each.kind: _table(reader, each) for each in _inside(reader, box) if _is_table(each)}
            samples += _plausible(reader, tables, sound=sound)
            furthest = max(furthest, _last_sample_end(reader, tables))
    if samples > _MOST_SAMPLES:
        raise ImplausibleError(f"{samples} samples")
    return _Header(announced / scale if announced and scale else None, furthest, pieces)


def _is_table(box: Box) -> bool:
    return box.kind in _ENTRIES or box.kind in {b"stsz", b"stz2"}


def _table(reader: Reader, box: Box) -> _Table:
    """The table in that box; its `width` is 0 where one size holds for all samples."""
    if box.kind in _ENTRIES:
        table = _Table(_u32(reader, box.body + 4), box.body + 8, _ENTRIES[box.kind])
        needed = table.entries * table.width
    else:
        bits = 32 if box.kind == b"stsz" else reader.at(box.body + 7, 1)[0]
        uniform = box.kind == b"stsz" and _u32(reader, box.body + 4) > 0
        table = _Table(_u32(reader, box.body + 8), box.body + 12, 0 if uniform else bits)
        needed = table.entries * table.width // 8
    if table.first + needed > box.end:
        raise ImplausibleError(f"{table.entries} entries in a {box.kind!r} of {box.end - box.body} bytes")
    return table


def _sizes(tables: dict[bytes, _Table]) -> _Table | None:
    return tables.get(b"stsz") or tables.get(b"stz2")


def _plausible(reader: Reader, tables: dict[bytes, _Table], *, sound: bool) -> int:
    """How many samples FFmpeg will keep a record of; refuses what the bytes of the file cannot hold."""
    sizes = _sizes(tables)
    if sizes is None:
        return 0
    times, offsets = tables.get(b"stts"), tables.get(b"ctts")
    timed = _summed(reader, times) if times else 0
    # Sound of one tick a sample is read by chunks (PCM, and old codecs that count uncompressed samples).
    if sound and times and times.entries == 1 and reader.at(times.first + 4, 4) == b"\0\0\0\1":
        most = 16 * reader.size + 1000
        if max(sizes.entries, timed) > most:
            raise ImplausibleError(f"{sizes.entries} samples of sound in {reader.size} bytes")
        return 0
    most = sizes.entries * 2 + 1000
    if timed > most or (offsets and _summed(reader, offsets) > most):
        raise ImplausibleError("times of more samples than there are")
    each = _u32(reader, sizes.first - 8) if sizes.width == 0 else 1
    if sizes.entries * each > reader.size:
        raise ImplausibleError(f"{sizes.entries} samples in {reader.size} bytes")
    return max(sizes.entries, timed)


def _summed(reader: Reader, table: _Table) -> int:
    """The sum of the counts of a run-length table (stts, ctts)."""
    return sum(sum(numbers[::2]) for numbers in _numbers(reader, table.first, table.entries * 8))


def _numbers(reader: Reader, start: int, length: int) -> Iterator[array[int]]:
    """Big-endian 32-bit numbers, a block at a time."""
    for offset in range(start, start + length, _BLOCK):
        reader.count()
        block = reader.at(offset, min(_BLOCK, start + length - offset))
        numbers = array("I", block[: len(block) & ~3])
        if byteorder == "little":
            numbers.byteswap()
        yield numbers


def _last_sample_end(reader: Reader, tables: dict[bytes, _Table]) -> int:
    """Where the last chunk of the track ends, or 0 without chunks."""
    chunks, runs, sizes = tables.get(b"stco") or tables.get(b"co64"), tables.get(b"stsc"), _sizes(tables)
    if not (
        chunks and runs and sizes and chunks.entries and runs.entries and sizes.entries
    ) or sizes.width not in {
        0,
        32,
    }:
        return 0
    last_of = ">Q" if chunks.width == 8 else ">I"
    raw = reader.at(chunks.first + (chunks.entries - 1) * chunks.width, chunks.width)
    start = int(struct.unpack(last_of, raw)[0])
    per_chunk = _u32(reader, runs.first + (runs.entries - 1) * 12 + 4)
    before = _samples_before_last(reader, runs, chunks.entries)
    held = min(max(sizes.entries - before, 0), per_chunk)
    if sizes.width == 0:
        each = _u32(reader, sizes.first - 8)
        return start + (held * each if each > 1 else 0)  # 1 stands for "see the codec" in old QuickTime files
    return start + sum(sum(numbers) for numbers in _numbers(reader, sizes.first + before * 4, held * 4))


def _samples_before_last(reader: Reader, runs: _Table, chunks: int) -> int:
    """Samples in all chunks but the last."""
    total, first, per_chunk, left = 0, 1, 0, 0
    for numbers in _numbers(reader, runs.first, runs.entries * 12):
        for number in numbers:
            if left % 3 == 0:
                total += (number - first) * per_chunk
                first = number
            elif left % 3 == 1:
                per_chunk = number
            left += 1
    return max(total + max(chunks - first, 0) * per_chunk, 0)


def _fragment(reader: Reader, fragment: Box) -> None:
    for box in _inside(reader, fragment):
        if box.kind == b"trun":
            count = _u32(reader, box.body + 4)
            flags = _u32(reader, box.body) & 0xFFFFFF
            width = 4 * (flags >> 8 & 0xF).bit_count()
            if count * width > box.end - box.body or count > reader.size:
                raise ImplausibleError(f"{count} samples in a run of {box.end - box.body} bytes")
            reader.count(count)


def _segment_index(reader: Reader, box: Box) -> tuple[float, int]:
    """Seconds and end of what an index before the first fragment lists (8.16.3)."""
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


def _number(reader: Reader, box: Box, narrow_at: int, wide_at: int, *, wide: int = 4) -> int:
    """A number whose place, or width, depends on the version of the box."""
    version = (reader.at(box.body, 1) or b"\0")[0]
    if version == 0:
        return _u32(reader, box.body + narrow_at)
    return int.from_bytes(reader.at(box.body + wide_at, wide))


def _u32(reader: Reader, offset: int) -> int:
    return int.from_bytes(reader.at(offset, 4))
