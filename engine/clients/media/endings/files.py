"""Detects a file's container by its first bytes and checks how it ends: see `Ending`."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from pathlib import Path

from engine.clients.media.endings import matroska_elements, mp3_frames, mp4_ending
from engine.clients.media.endings.ending import Alive, Ending, Unit, UnitReader, walk_units

_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_AC3 = b"\x0b\x77"
_AC3_KILOBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_MPEG, _PACK, _PROGRAM_END, _FIRST_PACKET = b"\0\0\1", 0xBA, 0xB9, 0xBB
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def ending_of(path: Path, alive: Alive) -> Ending:
    """Walk through the file's structure without reading media data; `alive` is called every few thousand units.

    Raises:
        ImplausibleError: its headers declare more than it can hold.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        reader = UnitReader(file, path.stat().st_size, alive)
        try:
            return _walker(reader.at(0, 1024))(reader)
        except (IndexError, struct.error):  # a field beyond the end of the file
            return Ending(cut=True)


def _walker(head: bytes) -> Callable[[UnitReader], Ending]:
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return matroska_elements.ending
    if head.startswith(b"OggS"):
        return _ogg
    if head[:4] in {b"RIFF", b"RF64"}:
        return _riff
    if head.startswith(b"FLV"):
        return _flv
    if head.startswith(_ASF):
        return _asf
    if head.startswith(b"G") and head[188:189] == b"G":
        return lambda reader: Ending(cut=reader.size % 188 != 0)
    if head[4:5] == b"G" and head[196:197] == b"G":
        return lambda reader: Ending(cut=reader.size % 192 != 0)
    if head.startswith(b"ID3") or mp3_frames.frame_length(head[:4]):
        return mp3_frames.ending
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return _adts
    if head.startswith(_AC3):
        return _ac3
    # With letters in bytes 4 to 8 it is an MP4 box whose size looks like a pack's start code.
    if head.startswith(_MPEG + bytes([_PACK])) and not head[4:8].isalpha():
        return _program_stream
    return mp4_ending.ending  # its first box may be any


def _ogg(reader: UnitReader) -> Ending:
    """Ogg pages (RFC 3533): the last page of each stream has the end-of-stream flag."""
    open_streams, end = set[bytes](), 0
    for page in walk_units(reader, 0, 27, lambda page: _page_length(reader, page)):
        end = page.end
        if len(page.head) == 27:
            (open_streams.discard if page.head[5] & 4 else open_streams.add)(page.head[14:18])
    return Ending(cut=end > reader.size, unterminated=bool(open_streams))


def _page_length(reader: UnitReader, page: Unit) -> int:
    """Head, segment table and segments."""
    if not page.head.startswith(b"OggS"):
        return 0
    count = page.head[26]
    return 27 + count + sum(reader.at(page.start + 27, count))


def _riff(reader: UnitReader) -> Ending:
    """WAV and AVI; long AVIs are several RIFF chunks. Recorders that were stopped leave the sizes unset."""
    piped = _is_unknown_size(int.from_bytes(reader.at(4, 4), "little"))
    seconds = (
        _wave_seconds(reader) if reader.at(8, 4) == b"WAVE" else None if piped else _film_seconds(reader)
    )
    lists = () if reader.at(0, 8)[:4] != b"RIFF" else walk_units(reader, 0, 8, _riff_length)
    end = max((unit.end for unit in lists), default=0)
    return Ending(cut=end > reader.size + 1, seconds=seconds)  # many writers omit the last padding byte


def _film_seconds(reader: UnitReader) -> float | None:
    """Duration of an AVI's longest stream, by the stream headers: scale, rate, start, length."""
    head, at, longest = reader.at(0, 1 << 14), -1, 0.0
    while 0 <= (at := head.find(b"strh", at + 1)) <= len(head) - 44:
        scale, rate, _, length = struct.unpack_from("<4I", head, at + 28)
        if head[at + 8 : at + 12] in {b"vids", b"auds"} and rate:
            longest = max(longest, length * scale / rate)
    return longest or None


def _riff_length(unit: Unit) -> int:
    size = int.from_bytes(unit.head[4:8], "little")
    return 8 + size + size % 2 if unit.head[:4] == b"RIFF" and not _is_unknown_size(size) else 0


def _wave_seconds(reader: UnitReader) -> float | None:
    """Duration of a WAV: bytes of the `data` chunk divided by the `fmt ` chunk's bytes per second."""
    rate = long_size = 0
    for chunk in walk_units(
        reader, 12, 8, lambda unit: 8 + int.from_bytes(unit.head[4:8], "little") + unit.head[4] % 2
    ):
        name, size = chunk.head[:4], int.from_bytes(chunk.head[4:8], "little")
        if name == b"ds64":  # RF64: sizes beyond 4 GB (EBU Tech 3306)
            long_size = int.from_bytes(reader.at(chunk.start + 16, 8), "little")
        elif name == b"fmt ":
            rate = int.from_bytes(reader.at(chunk.start + 16, 4), "little")
        elif name == b"data":
            size = long_size if _is_unknown_size(size) else size
            return size / rate if size and rate else None
    return None


def _is_unknown_size(size: int) -> bool:
    """Whether a size is a placeholder for "unknown", as programs write that can't seek back."""
    return size == 0 or size >= 0xFFFFFF00 or 0x7FFFEF00 <= size <= 0x80000000


def _flv(reader: UnitReader) -> Ending:
    """FLV tags: 11 bytes and a body, followed by the tag's length."""
    tags = walk_units(reader, int.from_bytes(reader.at(5, 4)) + 4, 11, _tag_length)
    end = max((tag.end for tag in tags), default=0)
    return Ending(cut=end > reader.size + 4)  # some writers omit the last length


def _tag_length(tag: Unit) -> int:
    return 15 + int.from_bytes(tag.head[1:4]) if tag.head[0] & 0x1F in {8, 9, 18} else 0


def _asf(reader: UnitReader) -> Ending:
    """The ASF header has the file's size, except for broadcasts (ASF specification, 3.2)."""
    header = reader.at(0, 1 << 16)
    at = header.find(_ASF_FILE)
    properties = header[at : at + 104] if at >= 0 else b""
    if len(properties) < 104 or properties[88] & 1:
        return Ending()
    return Ending(cut=int.from_bytes(properties[40:48], "little") > reader.size)


def _adts(reader: UnitReader) -> Ending:
    """AAC frames without a container (ADTS)."""
    frames = walk_units(reader, 0, 7, _adts_length)
    return Ending(cut=max((frame.end for frame in frames), default=0) > reader.size)


def _adts_length(frame: Unit) -> int:
    head = frame.head
    if head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return 0
    return (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5


def _ac3(reader: UnitReader) -> Ending:
    """AC-3 and E-AC-3 frames without a container (ETSI TS 102 366)."""
    frames = walk_units(reader, 0, 6, _ac3_length)
    return Ending(cut=_end_of(frames, _AC3) > reader.size)


def _ac3_length(frame: Unit) -> int:
    head = frame.head
    if not head.startswith(_AC3):
        return 0
    if head[5] >> 3 > 10:  # E-AC-3 has the frame size in its header
        return 2 * (((head[2] & 7) << 8 | head[3]) + 1)
    rate, code = head[4] >> 6, head[4] & 0x3F
    if rate == 3 or code >> 1 >= len(_AC3_KILOBITS):
        return 0
    kilobits = _AC3_KILOBITS[code >> 1]
    return 2 * (2 * kilobits, 320 * kilobits // 147 + (code & 1), 3 * kilobits)[rate]


def _program_stream(reader: UnitReader) -> Ending:
    """MPEG-1 and MPEG-2 program streams (ISO/IEC 13818-1, 2.5.3), as on discs and of old cameras."""
    units = walk_units(reader, 0, 4, lambda unit: _packet_length(reader, unit))
    return Ending(cut=_end_of(units, _MPEG) > reader.size)


def _packet_length(reader: UnitReader, unit: Unit) -> int:
    """The length of a pack header, or of a packet: 6 bytes and the length field's value."""
    kind = unit.head[3]
    if not unit.head.startswith(_MPEG) or kind < _PROGRAM_END:
        return 0
    if kind == _PROGRAM_END:
        return 4
    rest = reader.at(unit.start + 4, 10)
    if kind >= _FIRST_PACKET:
        return 6 + int.from_bytes(rest[:2])
    if rest[:1] and rest[0] >> 4 == 2:  # MPEG-1
        return 12
    return 14 + (rest[9] & 7 if len(rest) == 10 else 0)


def _end_of(units: Iterable[Unit], mark: bytes) -> int:
    """The end of the last unit that begins with `mark`; other bytes behind it don't count as a cut-off unit."""
    return max((unit.end for unit in units if unit.head[: len(mark)] == mark[: len(unit.head)]), default=0)
