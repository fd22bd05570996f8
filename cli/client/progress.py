"""A download's progress on a screen: one line that is redrawn, or lines one below the other."""

from __future__ import annotations

import time
from typing import Protocol, TextIO

from cli.client.download_state import DownloadState
from cli.client.terminal import columns_of, fit, part_text, size_text

LINE_SECONDS = 1.0
_PHASE, _BYTES, _SPEED, _ETA = 11, 13, 10, 12  # columns that the longest usual texts take
_BAR = (8, 30)  # columns at least and at most; one in six of the screen between
_CLEAR = "\r\033[K"


class Display(Protocol):
    """Where progress is shown."""

    def show(self, state: DownloadState) -> None:
        """Show a state."""

    def tick(self) -> None:
        """Time has passed; call it a few times a second."""

    def say(self, text: str) -> None:
        """Show a line that stays."""

    def end(self) -> None:
        """Leave the screen to what comes."""


def display_on(stream: TextIO) -> Display:
    """The display that suits a stream."""
    return ProgressBar(stream) if stream.isatty() else ProgressLines(stream)


class ProgressBar:
    """One line on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._blocks = "━─" if (stream.encoding or "").lower().startswith("utf") else "#-"
        self._line = ""

    def show(self, state: DownloadState) -> None:
        """Redraw the line."""
        columns = columns_of(self._stream) - 1  # a full line would wrap
        size = max(_BAR[0], min(_BAR[1], columns // 6))
        filled = int(size * state.progress / 100)
        bar = self._blocks[0] * filled + self._blocks[1] * (size - filled)
        left = f"{state.eta} left" if state.eta else ""
        facts = f"{bar} {state.progress:3.0f}%  {fit(_bytes(state), _BYTES)} "
        facts += f"{fit(state.speed or '', _SPEED)} {fit(left, _ETA)} {fit(state.phase, _PHASE)}"
        room = columns - len(facts) - 2
        self._line = f"{fit(state.label, room)}  {facts}" if room >= 4 else fit(facts, columns)
        self._write(_CLEAR + self._line)

    def tick(self) -> None:
        """Nothing to do: every state has been shown."""

    def say(self, text: str) -> None:
        """Put a line above the bar."""
        self._write(f"{_CLEAR}{text}\n{self._line}")

    def end(self) -> None:
        """Leave the bar as it is."""
        if self._line:
            self._write("\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class ProgressLines:
    """A line for each change in a log, at most one a second."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next = self._last = ""
        self._at = float("-inf")

    def show(self, state: DownloadState) -> None:
        """Write a line, now or when the second is over."""
        left = f"{state.eta} left" if state.eta else ""
        facts = (f"{state.progress:.0f}%", _bytes(state), state.speed, left, state.label)
        self._next = f"{state.phase:<{_PHASE}}  {'  '.join(filter(None, facts))}"
        self.tick()

    def tick(self) -> None:
        """Write what had to wait."""
        if self._next != self._last and time.monotonic() - self._at >= LINE_SECONDS:
            self._at, self._last = time.monotonic(), self._next
            self.say(self._next)

    def say(self, text: str) -> None:
        """Write a line at once."""
        print(text, file=self._stream, flush=True)

    def end(self) -> None:
        """Nothing is open."""


def _bytes(state: DownloadState) -> str:
    if state.size is not None:
        return size_text(state.size)
    if state.done is None:
        return ""
    return part_text(state.done, state.total) if state.total else size_text(state.done)
