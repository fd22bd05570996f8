"""An MP3 file's duration by its Xing, Info or VBRI header, and whether its last frame is complete."""

from __future__ import annotations

from engine.clients.media.endings.ending import Ending, UnitReader, walk_units

_RATES = (44100, 48000, 32000)
_KILOBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # MPEG 1, layer 3
_KILOBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # MPEG 2 and 2.5
_SEARCHED = 1 << 16


def ending(reader: UnitReader) -> Ending:
    """Duration by the first frame's header, and whether the last frame is cut off."""
    start = _after_id3(reader)
    head = reader.at(start, _SEARCHED)
    at = next(
        (i for i in range(len(head) - 4) if frame_length(head[i : i + 4]) and _is_followed_by_frame(head, i)),
        None,
    )
    if at is None:
        return Ending()
    frame = head[at : at + 200]
    frames, size = _counts(frame)
    seconds = frames * _samples(frame) / _rate(frame) if frames else None
    # Frames that end before the file does are followed by tags, or by another file that was appended.
    end = start + at + size if size else _end_of_frames(reader, start + at)
    return Ending(cut=end > reader.size + 1, seconds=seconds)


def _end_of_frames(reader: UnitReader, start: int) -> int:
    frames = walk_units(reader, start, 4, lambda frame: frame_length(frame.head))
    return max((frame.end for frame in frames), default=start)


def frame_length(head: bytes) -> int:
    """Bytes of the layer 3 frame with this 4-byte header; 0 if it is no header or has a free bitrate."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    bits, rate = head[2] >> 4, head[2] >> 2 & 3
    if head[1] >> 3 & 3 == 1 or bits in {0, 15} or rate == 3:
        return 0
    kilobits = (_KILOBITS_1 if _is_mpeg1(head) else _KILOBITS_2)[bits]
    return _samples(head) * kilobits * 125 // _rate(head) + (head[2] >> 1 & 1)


def _is_followed_by_frame(head: bytes, at: int) -> bool:
    """Whether another frame follows, so that the sync word was not there by chance."""
    following = at + frame_length(head[at : at + 4])
    return following + 4 > len(head) or frame_length(head[following : following + 4]) > 0


def _is_mpeg1(head: bytes) -> bool:
    return head[1] >> 3 & 3 == 3


def _samples(head: bytes) -> int:
    return 1152 if _is_mpeg1(head) else 576


def _rate(head: bytes) -> int:
    return (
        _RATES[head[2] >> 2 & 3]
        >> (0, 0, 1, 0)[3 - (head[1] >> 3 & 3)]
        >> (2 if head[1] >> 3 & 3 == 0 else 0)
    )


def _after_id3(reader: UnitReader) -> int:
    """The offset after all ID3v2 tags; their size field has seven bits per byte."""
    offset = 0
    while (head := reader.at(offset, 10))[:3] == b"ID3" and len(head) == 10:
        reader.count()
        offset += 10 + sum(byte << 7 * (3 - place) for place, byte in enumerate(head[6:10]))
    return offset


def _counts(frame: bytes) -> tuple[int, int]:
    """Frames and bytes of the whole file by the Xing, Info or VBRI header; 0 if unknown."""
    mono = frame[3] >> 6 == 3
    at = 4 + ((17 if mono else 32) if _is_mpeg1(frame) else (9 if mono else 17))
    if frame[at : at + 4] in {b"Xing", b"Info"}:
        flags = frame[at + 7]
        frames = int.from_bytes(frame[at + 8 : at + 12]) if flags & 1 else 0
        behind = at + 8 + (4 if flags & 1 else 0)
        return frames, int.from_bytes(frame[behind : behind + 4]) if flags & 2 else 0
    if frame[36:40] == b"VBRI":
        return int.from_bytes(frame[50:54]), int.from_bytes(frame[46:50])
    return 0, 0
