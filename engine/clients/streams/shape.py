"""What a piece of a stream is, by its bytes: an initialisation section, a page instead of media, something cut off."""

from __future__ import annotations

import struct
from typing import IO

HEAD = 1 << 18  # bytes that the first three questions are about
_TS_PACKET = 188
_EBML = b"\x1a\x45\xdf\xa3"
_OPENING = {b"ftyp", b"moov", b"styp"}
_PAGES = (b"<!doctype html", b"<html", b"<?xml", b'{"')


def initialisation(head: bytes) -> bytes | None:
    """What in the first bytes of a piece describes the streams in it: the `moov` of MP4, the header of WebM."""
    if head.startswith(_EBML):
        return head
    at = 0
    while at + 8 <= len(head):
        size, kind = struct.unpack_from(">I4s", head, at)
        if at == 0 and kind not in _OPENING:
            return None
        if kind == b"moov":
            return head[at : at + size]
        if size < 8:
            return None
        at += size
    return None


def is_clear_map(head: bytes) -> bool:
    """Whether an initialisation section that should be encrypted is not; many packagers leave it so."""
    return head[4:8] in _OPENING


def is_page(head: bytes) -> bool:
    """Whether it is a text for people or programs instead of media."""
    return head[:512].lstrip().lower().startswith(_PAGES)


def is_cut(file: IO[bytes]) -> bool:
    """Whether a piece whose length nobody promised ends within an MPEG-TS packet or an MP4 box."""
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(_TS_PACKET + 1)
    if head[:1] == b"G" and head[_TS_PACKET:] in {b"G", b""}:
        return size % _TS_PACKET != 0
    if head[4:8] not in _OPENING | {b"moof", b"sidx"}:
        return False
    at = 0
    while at < size:
        file.seek(at)
        box = file.read(16)
        if len(box) < 8:
            return True
        length = int.from_bytes(box[:4], "big")
        if length == 1:
            length = int.from_bytes(box[8:], "big")
        if length < 8:
            return length != 0  # 0: to the end of the file
        at += length
    return at != size
