"""Detects by its bytes what a piece is: an initialisation section, an error page, a truncated segment."""

from __future__ import annotations

import struct
from typing import IO

HEAD = 1 << 18  # bytes that `initialisation`, `is_clear_map` and `is_page` need at most
_TS_PACKET = 188
_EBML = b"\x1a\x45\xdf\xa3"
_FIRST_BOXES = {b"ftyp", b"moov", b"styp"}
_PAGES = (b"<!doctype html", b"<html", b"<?xml", b'{"')


def initialisation(head: bytes) -> bytes | None:
    """The stream headers at a piece's beginning: MP4's `moov` box, or the whole WebM header; None if it has none."""
    if head.startswith(_EBML):
        return head
    at = 0
    while at + 8 <= len(head):
        size, kind = struct.unpack_from(">I4s", head, at)
        if at == 0 and kind not in _FIRST_BOXES:
            return None
        if kind == b"moov":
            return head[at : at + size]
        if size < 8:
            return None
        at += size
    return None


def is_clear_map(head: bytes) -> bool:
    """Whether an initialisation section is unencrypted, as many packagers leave it even if a key is in force."""
    return head[4:8] in _FIRST_BOXES


def is_page(head: bytes) -> bool:
    """Whether it is HTML, XML or JSON instead of media."""
    return head[:512].lstrip().lower().startswith(_PAGES)


def is_truncated(file: IO[bytes]) -> bool:
    """Whether it ends within an MPEG-TS packet or an MP4 box; for pieces without a declared length."""
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(_TS_PACKET + 1)
    if head[:1] == b"G" and head[_TS_PACKET:] in {b"G", b""}:
        return size % _TS_PACKET != 0
    if head[4:8] not in _FIRST_BOXES | {b"moof", b"sidx"}:
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
