"""The sample tables of an MP4 track (ISO 14496-12, 8.6 and 8.7): are they possible, where does the last sample end."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from sys import byteorder
from typing import NamedTuple

from engine.clients.media.endings.ending import ImplausibleError, UnitReader
from engine.clients.media.endings.mp4_boxes import Box, inside, u32

_BLOCK = 1 << 16
# Bytes per entry.
_ENTRIES = {b"stts": 8, b"ctts": 8, b"stsc": 12, b"stco": 4, b"co64": 8, b"stss": 4}


class Table(NamedTuple):
    """A sample table: number of entries, offset of the first, width of one (bytes, or bits in stsz and stz2)."""

    entries: int
    first: int
    width: int


def tables_of(reader: UnitReader, box: Box) -> dict[bytes, Table]:
    """The tables in a `stbl` box.

    Raises:
        ImplausibleError: one has more entries than fit into its box, or there are two of one type.
    """
    found: dict[bytes, Table] = {}
    for each in inside(reader, box):
        if each.kind in found:
            raise ImplausibleError(f"two tables {each.kind!r}")
        if _is_table(each):
            found[each.kind] = _table(reader, each)
    return found


def _is_table(box: Box) -> bool:
    return box.kind in _ENTRIES or box.kind in {b"stsz", b"stz2"}


def _table(reader: UnitReader, box: Box) -> Table:
    """The table in a box; `width` is 0 if one size applies to all samples."""
    if box.kind in _ENTRIES:
        table = Table(u32(reader, box.body + 4), box.body + 8, _ENTRIES[box.kind])
        needed = table.entries * table.width
    else:
        bits = 32 if box.kind == b"stsz" else reader.at(box.body + 7, 1)[0]
        uniform = box.kind == b"stsz" and u32(reader, box.body + 4) > 0
        table = Table(u32(reader, box.body + 8), box.body + 12, 0 if uniform else bits)
        needed = table.entries * table.width // 8
    if table.first + needed > box.end:
        raise ImplausibleError(f"{table.entries} entries in a {box.kind!r} of {box.end - box.body} bytes")
    return table


def _sizes(tables: dict[bytes, Table]) -> Table | None:
    return tables.get(b"stsz") or tables.get(b"stz2")


def sample_count(reader: UnitReader, tables: dict[bytes, Table], *, sound: bool) -> int:
    """The number of samples for which FFmpeg will allocate an index entry.

    Raises:
        ImplausibleError: more than the file's bytes can hold.
    """
    sizes = _sizes(tables)
    if sizes is None:
        return 0
    times, offsets = tables.get(b"stts"), tables.get(b"ctts")
    timed = _summed(reader, times) if times else 0
    # Audio with one tick per sample is indexed by chunks (PCM, and old codecs that count uncompressed samples).
    if sound and times and times.entries == 1 and reader.at(times.first + 4, 4) == b"\0\0\0\1":
        most = 16 * reader.size + 1000
        if max(sizes.entries, timed) > most:
            raise ImplausibleError(f"{sizes.entries} samples of sound in {reader.size} bytes")
        return 0
    most = sizes.entries * 2 + 1000
    if timed > most or (offsets and _summed(reader, offsets) > most):
        raise ImplausibleError("times of more samples than there are")
    each = u32(reader, sizes.first - 8) if sizes.width == 0 else 1
    if sizes.entries * each > reader.size:
        raise ImplausibleError(f"{sizes.entries} samples in {reader.size} bytes")
    return max(sizes.entries, timed)


def _summed(reader: UnitReader, table: Table) -> int:
    """The sum of the counts of a run-length table (stts, ctts)."""
    return sum(sum(numbers[::2]) for numbers in _numbers(reader, table.first, table.entries * 8))


def _numbers(reader: UnitReader, start: int, length: int) -> Iterator[array[int]]:
    """Big-endian 32-bit numbers, a block at a time."""
    for offset in range(start, start + length, _BLOCK):
        reader.count()
        block = reader.at(offset, min(_BLOCK, start + length - offset))
        numbers = array("I", block[: len(block) & ~3])
        if byteorder == "little":
            numbers.byteswap()
        yield numbers


def last_sample_end(reader: UnitReader, tables: dict[bytes, Table]) -> int:
    """The offset at which the track's last chunk ends, or 0 without chunks."""
    chunks, runs, sizes = tables.get(b"stco") or tables.get(b"co64"), tables.get(b"stsc"), _sizes(tables)
    if not (chunks and runs and sizes and chunks.entries and runs.entries and sizes.entries):
        return 0
    if sizes.width not in {0, 32}:
        return 0
    last_of = ">Q" if chunks.width == 8 else ">I"
    raw = reader.at(chunks.first + (chunks.entries - 1) * chunks.width, chunks.width)
    start = int(struct.unpack(last_of, raw)[0])
    per_chunk = u32(reader, runs.first + (runs.entries - 1) * 12 + 4)
    before = _samples_before_last(reader, runs, chunks.entries)
    held = min(max(sizes.entries - before, 0), per_chunk)
    if sizes.width == 0:
        each = u32(reader, sizes.first - 8)
        # In old QuickTime files, 1 means "depends on the codec".
        return start + (held * each if each > 1 else 0)
    return start + sum(sum(numbers) for numbers in _numbers(reader, sizes.first + before * 4, held * 4))


def _samples_before_last(reader: UnitReader, runs: Table, chunks: int) -> int:
    """The number of samples in all chunks before the last, by the run-length coded `stsc`."""
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
