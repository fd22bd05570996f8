"""The files of one stream in the work folder: what is there of it, and the notes by which a later attempt goes on."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.clients.promises import Promise


class StreamFiles:
    """`target` is there once the stream is complete; all else has its name with a suffix of our own."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.part = target.with_name(f"{target.name}.part")
        # Of a plain file: which version of it the part is of, and how long that is.
        self.version = target.with_name(f"{target.name}.version")
        # Of a stream in pieces: a record for each that was appended.
        self.journal = target.with_name(f"{target.name}.journal")
        # Of a complete one: what its source said of it.
        self.promise = target.with_name(f"{target.name}.promise")

    def finish(self, promise: Promise) -> None:
        """Give the part its name; killed between any two steps, the next attempt does the rest."""
        write_note(self.promise, asdict(promise))
        self.part.replace(self.target)
        for note in (self.version, self.journal):
            note.unlink(missing_ok=True)

    def promised(self) -> Promise | None:
        """What the source said of the stream when it was fetched; None where no note is left of it."""
        try:
            return Promise(**read_note(self.promise))
        except TypeError:
            return None

    def discard(self) -> None:
        """Remove everything, so that the next attempt begins anew."""
        for file in (self.target, self.part, self.version, self.journal, self.promise):
            file.unlink(missing_ok=True)


def write_note(path: Path, values: dict[str, Any]) -> None:
    """Write a small file whole or not at all."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(json.dumps(values))
    fresh.replace(path)


def read_note(path: Path) -> dict[str, Any]:
    """What `write_note` wrote; nothing where the file is missing or damaged."""
    try:
        held = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}
