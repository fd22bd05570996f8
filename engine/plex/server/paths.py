"""Path mapping between this host and the Plex server, and the library that a file lies in."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

_WINDOWS = re.compile(r"[A-Za-z]:(?:[\\/]|$)|\\\\")  # D:\films, \\NAS\films
_SEPARATORS = re.compile(r"[\\/]+")


@dataclass(frozen=True)
class Place:
    """The place of a file in a library.

    Attributes:
        section: the library's `Directory` entry.
        path: of the file, as the server spells it.
    """

    section: Mapping[str, Any]
    path: str

    @property
    def folder(self) -> str:
        """The folder that the file lies in, as the server spells it."""
        return folder(self.path)


def is_windows(path: str) -> bool:
    """Whether a path is a Windows path: with a drive letter, or a UNC share."""
    return _WINDOWS.match(path) is not None


def same(one: str, other: str) -> bool:
    """Whether two paths of the server are equal after normalisation (Unicode, case on Windows)."""
    return _names(one) == _names(other)


def folder(path: str) -> str:
    """The folder that a path of the server lies in."""
    if not is_windows(path):
        return str(PurePosixPath(path).parent)
    cut = max(path.rfind("\\"), path.rfind("/"))
    above = path if cut < 0 else path[:cut].rstrip("\\/")
    return above + "\\" if above.endswith(":") else above


def to_server(path: str, pairs: Iterable[tuple[str, str]]) -> str:
    """A path of ours as the server sees it; the same where no pair fits.

    Args:
        path: absolute.
        pairs: of folders, `(ours, the server's)`; the longest of ours that fits counts.
    """
    for ours, theirs in sorted(pairs, key=lambda pair: -len(pair[0].rstrip("/"))):
        rest = _rest(ours, path)
        if rest is not None:
            return _joined(theirs, rest)
    return path


def places(
    path: str,
    sections: Iterable[Mapping[str, Any]],
    pairs: Sequence[tuple[str, str]] = (),
    resolve: Callable[[str], str] = os.path.realpath,
) -> list[Place]:
    """Where a file of ours lies in the server's libraries: in the most specific folder that any of them has.

    Several libraries may have that very folder. Links are followed on our side, and on the server's where it sees
    the file system that we see.

    Args:
        path: of the file, ours, absolute.
        sections: `Directory` of the server, with its `Location`.
        pairs: as for `to_server`.
        resolve: follows links on this host.
    """
    real = resolve(path)
    spelt = {to_server(path, pairs): None, to_server(real, pairs): None}
    best, found = -1, list[Place]()
    for section in sections:
        for location in locations(section):
            rest = _first(_rest(location, each) for each in spelt)
            if rest is None and not is_windows(location):
                rest = _rest(resolve(location), real)  # its folder is a link to where the file lies
            if not rest:
                continue
            depth = len(_names(location))
            if depth >= best:
                place = Place(section, _joined(location, rest))
                found = [*found, place] if depth == best else [place]
                best = depth
    return found


def locations(section: Mapping[str, Any]) -> list[str]:
    """The folders of a library, as the server tells them."""
    told = section.get("Location")
    entries = [entry for entry in told if isinstance(entry, Mapping)] if isinstance(told, list) else []
    return [str(entry["path"]) for entry in entries if entry.get("path")]


def _first(candidates: Iterable[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    return next((one for one in candidates if one is not None), None)


def _raw(path: str) -> tuple[str, ...]:
    """The components of a path as they are spelt; the first is its root."""
    if is_windows(path):
        root = "\\\\" if path.startswith("\\\\") else ""
        return tuple(name for name in (root, *_SEPARATORS.split(path)) if name)
    return tuple(name for name in ("/" if path.startswith("/") else "", *path.split("/")) if name)


def _names(path: str) -> tuple[str, ...]:
    """The normalised components of a path: Unicode NFC, on Windows case-folded."""
    composed = unicodedata.normalize("NFC", path)
    if is_windows(path):
        composed = unicodedata.normalize("NFC", composed.casefold())
    return _raw(composed)


def _rest(above: str, path: str) -> tuple[str, ...] | None:
    """The components of `path` below `above`; None where it does not lie there."""
    if is_windows(above) != is_windows(path):
        return None
    wanted, names = _names(above), _names(path)
    return _raw(path)[len(wanted) :] if names[: len(wanted)] == wanted else None


def _joined(above: str, rest: Sequence[str]) -> str:
    separator = "\\" if is_windows(above) else "/"
    return separator.join((above.rstrip("\\/" if separator == "\\" else "/"), *rest))
