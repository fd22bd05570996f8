"""Types and a bounded reader for checking a file's structure without FFmpeg: is it complete, how long should it be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

Alive = Callable[[], None]

_MOST_UNITS = 20_000_000  # boxes, pages, tags or samples of one file: 24 hours of audio have 4 million


class ImplausibleError(Exception):
    """The headers declare more than the file's bytes can hold; a demuxer that trusts them runs out of memory."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a file ends, by its container's structure.

    Attributes:
        cut: it ends within a unit (box, element, page, frame), or before an offset that its index points to.
        unterminated: the format flags the last unit (Ogg's end-of-stream), and no unit has the flag.
        pieces: it consists of fragments, so the durations in its header are the first fragment's only.
        seconds: the duration of the whole file by its header.
    """

    cut: bool = False
    unterminated: bool = False
    pieces: bool = False
    seconds: float | None = None


@dataclass
class UnitReader:
    """Random access to a file of known size; counts the units read and calls `alive` every few thousand."""

    file: BinaryIO
    size: int
    alive: Alive
    _units: int = 0

    def at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`; `b""` outside the file."""
        if not 0 <= offset < self.size:
            return b""
        self.file.seek(offset)
        return self.file.read(count)

    def count(self, units: int = 1) -> None:
        """Count units that were read.

        Raises:
            ImplausibleError: more than `_MOST_UNITS` in all.
        """
        before, self._units = self._units, self._units + units
        if self._units > _MOST_UNITS:
            raise ImplausibleError(f"more than {_MOST_UNITS} units")
        if before >> 12 != self._units >> 12:
            self.alive()


class Unit(NamedTuple):
    """A unit of a format: its offset, its first bytes, and its end by its own length field."""

    start: int
    head: bytes
    end: int


def walk_units(reader: UnitReader, start: int, head: int, length: Callable[[Unit], int]) -> Iterator[Unit]:
    """Walk from unit to unit, reading `head` bytes of each; `length` computes a unit's bytes (0 ends the walk).

    A unit that is cut off within its head is returned with an end beyond the file.
    """
    offset = start
    while offset < reader.size:
        reader.count()
        first = reader.at(offset, head)
        if len(first) < head:
            yield Unit(offset, first, offset + head)
            return
        step = length(Unit(offset, first, offset))
        if step <= 0:
            return
        offset += step
        yield Unit(offset - step, first, offset)
