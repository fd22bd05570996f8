"""The journal of a stream in pieces: what was asked for, and which bytes in the part came of it."""

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
    """A piece in the file: how it was asked for (`Piece.asked`), where its bytes are, their BLAKE2b checksum.

    `length` is 0 for what was here already, as an initialisation section that is repeated.
    """

    asked: str
    offset: int
    length: int
    sum: str


class Journal:
    """Appends a record for each piece after the piece itself."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def add(self, record: Record) -> None:
        """Write it down; killed before, the piece is fetched again."""
        self._file.write(_line(record))
        self._file.flush()


@contextmanager
def journal(path: Path, kept: Sequence[Record]) -> Iterator[Journal]:
    """Go on with these records; whatever else was in the journal is gone."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(b"".join(_line(record) for record in kept))
    fresh.replace(path)
    with path.open("ab") as file:
        yield Journal(file)


def fitting(
    path: Path, part: IO[bytes], pieces: Sequence[Piece], checked: Callable[[int], None]
) -> list[Record]:
    """The records that hold: the same pieces as now, one after the other, and the bytes are there unaltered.

    `checked` is told the length of each piece that was found good.
    """
    kept: list[Record] = []
    for record, piece in zip(_read(path), pieces, strict=False):
        end = kept[-1].offset + kept[-1].length if kept else 0
        if record.asked != piece.asked or record.offset != end:
            break
        if record.sum != _sum(part, record):
            break
        kept.append(record)
        checked(record.length)
    return kept


def _line(record: Record) -> bytes:
    return json.dumps(asdict(record)).encode() + b"\n"


def _read(path: Path) -> Iterator[Record]:
    """Record by record, up to the first that is torn or damaged."""
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
    """The checksum of what is in the file there; None where it is too short."""
    digest, left = blake2b(digest_size=DIGEST), record.length
    part.seek(record.offset)
    while left:
        block = part.read(min(_BLOCK, left))
        if not block:
            return None
        digest.update(block)
        left -= len(block)
    return digest.hexdigest()
