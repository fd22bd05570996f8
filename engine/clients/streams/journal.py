"""The journal of a stream in pieces: which pieces are in the part file, where, with which checksum."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO

from engine.clients.streams.plan import Piece

_BLOCK = 1 << 20
DIGEST = 16  # bytes of a checksum


@dataclass(frozen=True)
class Record:
    """One line of the journal: a piece in the part file.

    Attributes:
        asked: `Piece.fingerprint`. offset, length: its bytes in the file; length 0 for an initialisation section that
            is there already. sum: the BLAKE2b checksum in hexadecimal digits.
    """

    asked: str
    offset: int
    length: int
    sum: str


class Journal:
    """Appends a record for each piece, after the piece itself is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def add(self, record: Record) -> None:
        """Append a record; if killed before, the piece is fetched again."""
        self._file.write(_line(record))
        self._file.flush()


@contextmanager
def resumed_journal(path: Path, kept: Sequence[Record]) -> Iterator[Journal]:
    """Rewrite the journal with these records only, and open it for appending."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(b"".join(_line(record) for record in kept))
    fresh.replace(path)
    with path.open("ab") as file:
        yield Journal(file)


def valid_records(
    path: Path, part: IO[bytes], pieces: Sequence[Piece], on_valid: Callable[[int], None]
) -> list[Record]:
    """The leading records that are still valid: the same pieces in the same order, whose bytes match the checksum.

    `on_valid` is called with the length in bytes of each.
    """
    kept: list[Record] = []
    for record, piece in zip(_read(path), pieces, strict=False):
        end = kept[-1].offset + kept[-1].length if kept else 0
        if record.asked != piece.fingerprint or record.offset != end:
            break
        if record.sum != _sum(part, record):
            break
        kept.append(record)
        on_valid(record.length)
    return kept


def _line(record: Record) -> bytes:
    return json.dumps(asdict(record)).encode() + b"\n"


def _read(path: Path) -> Iterator[Record]:
    """The records up to the first incomplete or damaged line."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                record = Record(**json.loads(line))
            except (ValueError, TypeError):
                return
            numbers = isinstance(record.offset, int) and isinstance(record.length, int)
            if not line.endswith(b"\n") or not numbers or record.length < 0:
                return
            yield record


def _sum(part: IO[bytes], record: Record) -> str | None:
    """The checksum of the bytes at the record's place; None if the file is too short."""
    digest, left = blake2b(digest_size=DIGEST), record.length
    part.seek(record.offset)
    while left:
        block = part.read(min(_BLOCK, left))
        if not block:
            return None
        digest.update(block)
        left -= len(block)
    return digest.hexdigest()
