"""What the person sees: our own lines and those of the processes, each with its name in front."""

from __future__ import annotations

from contextlib import suppress
from typing import TextIO

OURSELVES = "medianest"
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)  # of a terminal; ourselves are bold


class Console:
    """Writes whole lines to `stream`; colours the names where it is a terminal.

    A stream that is full or gone must not end what it only reports on: its errors are ignored.
    """

    def __init__(self, stream: TextIO, names: list[str]) -> None:
        self._stream = stream
        self._width = max(map(len, [*names, OURSELVES]))
        colours = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(names)} | {OURSELVES: 1}
        self._colours = colours if stream.isatty() else {}

    def line(self, name: str, text: str) -> None:
        """Write one line of process `name`."""
        front = f"{name:<{self._width}} |"
        if name in self._colours:
            front = f"\033[{self._colours[name]}m{front}\033[0m"
        with suppress(OSError):
            self._stream.write(f"{front} {text}\n")
            self._stream.flush()

    def say(self, text: str) -> None:
        """Write lines of our own."""
        for line in text.splitlines():
            self.line(OURSELVES, line)
