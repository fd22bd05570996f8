"""Text for a terminal: harmless, measured in columns, cut to fit."""

from __future__ import annotations

import os
import sys
import unicodedata
from io import TextIOWrapper
from typing import TextIO

_JOINERS = "\u200c\u200d"  # invisible, but part of words and emoji; file names of ours keep them
_NARROWEST = 40
_UNITS = ("B", "KB", "MB", "GB", "TB")


def clean(text: str) -> str:
    """The text on one line, without escape sequences: titles come from anywhere."""
    return "".join(char if char.isprintable() or char in _JOINERS else " " for char in text).strip()


def width(text: str) -> int:
    """How many columns a clean text takes."""
    return sum(map(_char_width, text))


def fit(text: str, columns: int) -> str:
    """The text in exactly so many columns: padded, or cut with an ellipsis."""
    missing = columns - width(text)
    if missing >= 0:
        return text + " " * missing
    kept, used = "", 0
    for char in text:
        used += _char_width(char)
        if used > columns - 1:
            break
        kept += char
    return fit(f"{kept}…", columns)


def columns_of(stream: TextIO) -> int:
    """How wide the terminal behind a stream is; 80 where it does not say."""
    try:
        return max(_NARROWEST, os.get_terminal_size(stream.fileno()).columns or 80)
    except OSError:
        return 80


def size_text(size: float) -> str:
    """Bytes as people read them, such as `1.2 MB`."""
    return f"{_in_unit(size, unit := _unit(size))} {unit}"


def part_text(done: float, total: float) -> str:
    """A part of a size, such as `23.5/50.0 MB`."""
    unit = _unit(total)
    return f"{_in_unit(done, unit)}/{_in_unit(total, unit)} {unit}"


def forgive_encoding() -> None:
    """Let standard output spell out what the locale has no character for, as standard error does, not fail."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _char_width(char: str) -> int:
    if char in _JOINERS or unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _unit(size: float) -> str:
    exponent = 0
    while size >= 999.95 and exponent < len(_UNITS) - 1:  # what would be shown as 1000.0
        size /= 1000
        exponent += 1
    return _UNITS[exponent]


def _in_unit(size: float, unit: str) -> str:
    return f"{size:.0f}" if unit == "B" else f"{size / 1000 ** _UNITS.index(unit):.1f}"
