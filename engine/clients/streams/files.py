"""The files of one stream in the work folder: its data, and the records from which a later attempt resumes."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.clients.promises import Promise


class StreamFiles:
    """`target` exists once the stream is complete; the others have its name with a suffix."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.part = target.with_name(f"{target.name}.part")
        # For a stream that is one file: the validator (ETag or date) and size of the version that is in `part`.
        self.version = target.with_name(f"{target.name}.version")
        # For a stream in pieces: a record for each appended piece.
        self.journal = target.with_name(f"{target.name}.journal")
        # For a complete stream: what its source declared of it.
        self.promise = target.with_name(f"{target.name}.promise")

    def finish(self, promise: Promise) -> None:
        """Rename `part` to `target`; if killed between two steps, the next attempt does the rest."""
        write_note(self.promise, asdict(promise))
        self.part.replace(self.target)
        for note in (self.version, self.journal):
            note.unlink(missing_ok=True)

    def promised(self) -> Promise | None:
        """What the source declared when the stream was fetched; None if that record is missing."""
        try:
            return Promise(**read_note(self.promise))
        except TypeError:
            return None

    def discard(self) -> None:
        """Remove all files, so that the next attempt starts from nothing."""
        for file in (self.target, self.part, self.version, self.journal, self.promise):
            file.unlink(missing_ok=True)


def write_note(path: Path, values: dict[str, Any]) -> None:
    """Write a small JSON file atomically."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(json.dumps(values))
    fresh.replace(path)


def read_note(path: Path) -> dict[str, Any]:
    """What `write_note` wrote; empty if the file is missing or damaged."""
    try:
        held = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}
