"""Why a finished download is not in Plex yet, as messages with advice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from engine.plex.server.paths import FileInLibrary

Reason = dict[str, Any]

SCANNING = ("scanning", "Plex is looking for the file.", "This takes a moment.")
CATALOGUE = ("catalogue", "Plex has it; it is being entered into the catalogue.", "This takes a moment.")
OUTSIDE = (
    "outside",
    "The file does not lie in a folder of a Plex library.",
    "Download into a folder that a library has, or have an admin map the folders.",
)
AWAY = "It is looked for as soon as Plex can be asked again."
GIVEN_UP = "Look whether the server runs and can be reached from here."

_EPISODE = re.compile(r"s\d{1,4}[ ._-]?e\d{1,4}|\d{1,2}x\d{1,3}|\d{4}[-._ ]\d{2}[-._ ]\d{2}", re.IGNORECASE)


def as_reason(kind: str, message: str, advice: str, *, retryable: bool = False) -> Reason:
    """The value of the row's `error` column."""
    return {"kind": kind, "message": message, "advice": advice, "retryable": retryable}


def why_missing(place: FileInLibrary, file: Path, *, audio: bool, seen: bool, gone: bool) -> Reason:
    """The likely reason why Plex has scanned a folder and not added a file.

    Args:
        place: library and path of the file on the Plex server.
        file: its path on this host.
        audio: whether it has audio only.
        seen: whether Plex has an item for it, whose file it can't read.
        gone: whether the file has been removed meanwhile.
    """
    kind, title = place.section.get("type"), f"“{place.section.get('title') or place.section['key']}”"
    if gone:
        return as_reason(
            "file_gone",
            "The file does not lie in the download folder any more.",
            "Somebody has moved or removed it.",
        )
    if seen:
        return as_reason(
            "unreadable",
            f"Plex has the file in {title} and can't read it.",
            "Give the user that Plex runs as the right to read it.",
        )
    if kind == "photo":
        return as_reason(
            "library_type", f"{title} is a library of photos.", "Download into one of films or series."
        )
    if audio != (kind == "artist"):
        what, wants = ("sound alone", "videos") if audio else ("a video", "music")
        return as_reason(
            "library_type",
            f"The file is {what}, and {title} takes only {wants}.",
            "Choose another format, or another folder.",
        )
    if kind == "show" and not _EPISODE.search(file.name):
        return as_reason(
            "naming",
            f"Plex has scanned the folder and not taken the file: {title} is a library of series, which wants "
            "names such as “Title - S01E02”.",
            "Download into a folder of a film library, or of other videos.",
        )
    return as_reason(
        "not_taken",
        f"Plex has scanned the folder and not taken the file into {title}.",
        "Look at the library's agent and scanner, a .plexignore file, and whether Plex sees the folder. "
        "Should Plex take it later, it shows up here.",
    )
