"""Files that hold a secret each: made once, closed to others, replaced whole."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from config import private_folders

SHORTEST = 32  # characters of a secret

_read: dict[Path, tuple[tuple[int, int, int], tuple[str, ...]]] = {}


def made_once(path: Path) -> tuple[str, ...]:
    """The secrets in a file, one a line; made with one where there is no file.

    The file is looked at each time and read when it is another one than before, so that a process that runs knows
    of a replacement at once.

    Raises:
        ValueError: a line is too short for a secret, or there is none.
        OSError: the file can't be read or made.
    """
    for _ in range(2):
        try:
            found = os.stat(path)  # noqa: PTH116 - asked at each request: half the time of Path.stat
        except FileNotFoundError:
            _make(path)
            continue
        mark = (found.st_ino, found.st_mtime_ns, found.st_size)
        known = _read.get(path)
        if known is None or known[0] != mark:
            known = _read[path] = (mark, _lines(path))
        return known[1]
    raise FileNotFoundError(path)


def replace(path: Path, lines: tuple[str, ...]) -> None:
    """Write a file that is there anew, in one step: who reads it meanwhile sees the old one or the new one.

    It stays with its owner, whoever writes it.

    Raises:
        OSError: it can't be written.
    """
    owner = path.stat()
    fresh = _written(path, "".join(f"{line}\n" for line in lines))
    try:
        if (owner.st_uid, owner.st_gid) != (fresh.stat().st_uid, fresh.stat().st_gid):
            os.chown(fresh, owner.st_uid, owner.st_gid)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def new_secret() -> str:
    """384 bits, in 64 characters."""
    return secrets.token_urlsafe(48)


def _make(path: Path) -> None:
    private_folders.make(path.parent)
    fresh = _written(path, new_secret())
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass  # a second process was quicker
    finally:
        fresh.unlink()


def _written(path: Path, content: str) -> Path:
    """A file beside `path`, on the disk."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return fresh


def _lines(path: Path) -> tuple[str, ...]:
    lines = tuple(line.strip() for line in path.read_text().splitlines() if line.strip())
    if not lines or any(len(line) < SHORTEST for line in lines):
        raise ValueError(f"{path} takes lines of at least {SHORTEST} characters")
    return lines
