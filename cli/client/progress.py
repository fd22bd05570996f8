"""A download's progress on a screen: one line that is redrawn, or lines one below the other."""

from __future__ import annotations

import time
from typing import Protocol, TextIO

from cli.client.download_state import DownloadState
from cli.terminal import columns_of, fit, part_text, size_text, width

LINE_SECONDS = 1.0
_PHASE = 11  # columns of the longest one
_TITLE = 6  # columns below which it says nothing
_BAR = (8, 30)  # columns at least and at most
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
        self._facts = 0

    def show(self, state: DownloadState) -> None:
        """Redraw the line."""
        columns = columns_of(self._stream) - 3  # a full line would wrap, as would the ^C of a terminal
        size = max(_BAR[0], min(_BAR[1], columns // 8))
        filled = int(size * state.progress / 100)
        bar = self._blocks[0] * filled + self._blocks[1] * (size - filled)
        facts = f"{bar} {state.progress:3.0f}%  {_facts(state)}  {state.phase}"
        self._facts = max(self._facts, width(facts))  # the bar would dance with the length of the facts
        room = columns - self._facts - 2
        label = f"{fit(state.label, room)}  " if room >= _TITLE else ""
        self._line = fit(label + facts, columns)
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
        facts = "  ".join(filter(None, (f"{state.progress:3.0f}%", _facts(state), state.label)))
        self._next = f"{state.phase:<{_PHASE}}  {facts}"
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


def _facts(state: DownloadState) -> str:
    left = f"{state.eta} left" if state.eta else ""
    return "  ".join(filter(None, (_bytes(state), state.speed, left)))


def _bytes(state: DownloadState) -> str:
    if state.size is not None:
        return size_text(state.size)
    if state.done is None:
        return ""
    return part_text(state.done, state.total) if state.total else size_text(state.done)
