"""The data in a dump of our database, taken out of it as text: nothing that a dump says is ever run.

A dump is a program, in SQL and in the commands of `psql`, and whoever wrote it could do what the database's owner can.
So the tables come from our own migrations, and of the dump only the rows are read.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cli.errors import CommandError

_COPY = re.compile(rb"COPY public\.([a-z_0-9]{1,63}) \(([a-z_0-9\", ]{1,4000})\) FROM stdin;\n")
_SEQUENCE = re.compile(
    rb"SELECT pg_catalog\.setval\('public\.([a-z_0-9]{1,63})', ([0-9]{1,18}), (true|false)\);\n"
)
_OF_PG_DUMP = (b"\\restrict ", b"\\unrestrict ")  # the commands of psql that it writes by itself
_END = b"\\.\n"
_LONGEST = 256 << 20  # bytes of a row
_RATIO, _FREE = (
    200,
    64 << 20,
)  # what is unpacked to more than so many times its size, and so many bytes, is a trap


@dataclass
class Dump:
    """What was read.

    Attributes:
        columns: of each table, in the order of its rows.
        rows: of each table, as PostgreSQL's COPY writes them.
        sequences: where each one is: its number, and whether that was given out.
    """

    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rows: dict[str, Path] = field(default_factory=dict)
    sequences: dict[str, tuple[int, bool]] = field(default_factory=dict)


def read(packed: Path, folder: Path) -> Dump:
    """Take the rows out of a dump that `pg_dump --format=plain` wrote, and gzip packed.

    Args:
        packed: the dump.
        folder: takes a file for each table.

    Raises:
        CommandError: it is no dump of ours, or damaged.
    """
    found = Dump()
    try:
        lines = _lines(packed)
        for line in lines:
            if line.startswith(b"\\") and not line.startswith(_OF_PG_DUMP):
                raise CommandError(
                    "the database in this backup holds commands that none of ours holds: refused"
                )
            if copy := _COPY.fullmatch(line):
                _take(found, copy, lines, folder)
            elif moved := _SEQUENCE.fullmatch(line):
                found.sequences[moved[1].decode()] = int(moved[2]), moved[3] == b"true"
    except (EOFError, gzip.BadGzipFile, zlib.error, ValueError) as error:
        raise CommandError(f"the database in this backup is damaged: {error}") from None
    return found


def _take(found: Dump, copy: re.Match[bytes], lines: Iterator[bytes], folder: Path) -> None:
    name = copy[1].decode()
    if name in found.rows:
        raise CommandError(f"the database in this backup is damaged: it has two tables {name}")
    found.columns[name] = tuple(part.strip('"') for part in copy[2].decode().split(", "))
    found.rows[name] = folder / f"{len(found.rows)}.rows"
    with found.rows[name].open("wb") as output:
        for line in lines:
            if line == _END:
                return
            output.write(line)
    raise CommandError(f"the database in this backup is damaged: table {name} has no end")


def _lines(packed: Path) -> Iterator[bytes]:
    left = packed.stat().st_size * _RATIO + _FREE
    with gzip.open(packed) as unpacked:
        while line := unpacked.readline(_LONGEST):
            left -= len(line)
            if left < 0 or len(line) == _LONGEST:
                raise CommandError("the database in this backup is a trap: it unpacks without end")
            yield line
