"""Watches a download folder from a process of its own: what it sees of each file at the very first sight."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

PAUSE = 0.02


class Watcher:
    """Reads each new file at once, and goes on comparing size and inode of all it has seen."""

    def __init__(self, root: Path, out: IO[str]) -> None:
        self.root, self._out = root, out
        self._seen: dict[str, tuple[int, int]] = {}

    def look(self) -> None:
        """One round over the visible tree."""
        present = set()
        for path, status in self._files(self.root):
            name = os.path.relpath(path, self.root)
            present.add(name)
            identity = (status.st_size, status.st_ino)
            if name not in self._seen:
                self._say(kind="appeared", path=name, size=status.st_size, sha256=_digest(path))
            elif self._seen[name] != identity:
                self._say(kind="changed", path=name, before=self._seen[name], after=identity)
            self._seen[name] = identity
        for name in self._seen.keys() - present:
            del self._seen[name]
            self._say(kind="vanished", path=name)

    def _files(self, folder: Path) -> Iterator[tuple[str, os.stat_result]]:
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != ".medianest":
                        yield from self._files(Path(entry.path))
                else:
                    with suppress(FileNotFoundError):
                        yield entry.path, entry.stat(follow_symlinks=False)

    def _say(self, **what: Any) -> None:
        self._out.write(json.dumps(what) + "\n")
        self._out.flush()


def _digest(path: str) -> str:
    with suppress(FileNotFoundError), Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return "gone"


def main(root: Path, out: Path) -> None:
    """Look until SIGTERM, then once more."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with out.open("a") as file:
        watcher = Watcher(root, file)
        while not ended.wait(PAUSE):
            watcher.look()
        watcher.look()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
