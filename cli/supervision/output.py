"""The output of one process, cut into lines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO

_LONGEST_LINE = 65536


class Output:
    """Reads what a process writes to `pipe` without ever waiting for it."""

    def __init__(self, name: str, pipe: IO[bytes]) -> None:
        self.name = name
        self.pipe = pipe
        self._rest = b""  # a line that has not ended yet
        os.set_blocking(pipe.fileno(), False)

    def lines(self) -> Iterator[str]:
        """The lines that are there now; closes the pipe at its end."""
        while not self.pipe.closed:
            try:
                data = os.read(self.pipe.fileno(), _LONGEST_LINE)
            except BlockingIOError:
                return
            *lines, self._rest = (self._rest + data).split(b"\n")
            if self._rest and (not data or len(self._rest) >= _LONGEST_LINE):
                lines.append(self._rest)
                self._rest = b""
            if not data:
                self.pipe.close()
            for line in lines:
                yield line.decode(errors="replace").rstrip("\r")
