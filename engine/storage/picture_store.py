"""A disk cache of pictures: atomic writes, least recently used removed first."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

MOST_BYTES = 512 << 20
_LOOK_EVERY = 50  # pictures that a process writes between two looks at the whole
_written = count(1)


class PictureStore:
    """A folder of pictures by name, shared by several processes; anything in it may be lost.

    Args:
        folder: below `DATA_DIR`; made when it is needed.
        most: bytes of all pictures together; exceeded by what is written between two looks.
    """

    def __init__(self, folder: Path, most: int = MOST_BYTES) -> None:
        self._folder, self._most = folder, most

    def get(self, name: str) -> bytes | None:
        """The bytes of a picture; None where it is not kept."""
        path = self._path(name)
        try:
            body = path.read_bytes()
        except OSError:
            return None
        with suppress(OSError):
            os.utime(path)  # used now
        return body

    def put(self, name: str, body: bytes) -> None:
        """Cache a picture; a full or read-only disk is ignored."""
        path = self._path(name)
        try:
            self._folder.mkdir(0o700, parents=True, exist_ok=True)
            path.parent.mkdir(exist_ok=True)
            number, name_now = tempfile.mkstemp(dir=path.parent, prefix=".")
            fresh = Path(name_now)
            try:
                with open(number, "wb") as file:  # noqa: PTH123 - a descriptor, which Path.open does not take
                    file.write(body)
                fresh.replace(path)
            except BaseException:
                fresh.unlink(missing_ok=True)
                raise
        except OSError as error:
            log.warning("pictures.not_kept", error=type(error).__name__)
            return
        if next(_written) % _LOOK_EVERY == 0:
            self.tidy()

    def tidy(self) -> None:
        """Remove the least recently used pictures until nine tenths of what is allowed are left."""
        found = []
        for path in self._folder.glob("??/*"):
            with suppress(OSError):
                state = path.stat()
                found.append((state.st_mtime, state.st_size, path))
        total = sum(size for _, size, _ in found)
        if total <= self._most:
            return
        for _, size, path in sorted(found):
            with suppress(OSError):
                path.unlink()
                total -= size
            if total <= 0.9 * self._most:
                return

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name
