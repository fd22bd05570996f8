"""What the structure of a file says of its own end, read without FFmpeg: whether it is whole, how long it should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

Alive = Callable[[], None]

_MOST_UNITS = 20_000_000  # boxes, pages, tags or samples of one file: 24 hours of sound have 4 million


class ImplausibleError(Exception):
    """The file promises more than its bytes can hold; a program that believes it runs out of memory."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a file ends.

    Attributes:
        cut: it ends inside of a unit (box, element, page, frame), or before what its index points to.
        unended: the format marks the last unit, and no unit is marked.
        pieces: it is made of fragments, so the lengths in its header are of the first alone.
        seconds: what the header says of the whole file.
    """

    cut: bool = False
    unended: bool = False
    pieces: bool = False
    seconds: float | None = None


@dataclass
class UnitReader:
    """A file of known size that is walked through unit by unit; `alive` is called now and then."""

    file: BinaryIO
    size: int
    alive: Alive
    _units: int = 0

    def at(self, offset: int, count: int) -> bytes:
        """At most `count` bytes from there; none from where the file does not reach."""
        if not 0 <= offset < self.size:
            return b""
        self.file.seek(offset)
        return self.file.read(count)

    def count(self, units: int = 1) -> None:
        """Note that many more units.

        Raises:
            ImplausibleError: more than any film has.
        """
        before, self._units = self._units, self._units + units
        if self._units > _MOST_UNITS:
            raise ImplausibleError(f"more than {_MOST_UNITS} units")
        if before >> 12 != self._units >> 12:
            self.alive()


class Unit(NamedTuple):
    """A unit of a format: where it begins, its first bytes, where it ends by its own word."""

    start: int
    head: bytes
    end: int


def jumps(reader: UnitReader, start: int, head: int, length: Callable[[Unit], int]) -> Iterator[Unit]:
    """Unit after unit, `head` bytes of each; `length` tells a unit's bytes from those (0: no unit, the walk ends).

    What is severed within its first bytes comes as a unit that ends behind the file.
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
