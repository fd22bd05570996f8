"""One supervisor a data folder, and what a killed one left behind."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from cli.embedded.holders import holders
from cli.errors import CommandError
from cli.processes import end_all
from config import private_folders

# Every descendant of a supervisor has it in its environment, with the data folder. Unlike a list of process
# ids it is never out of date and names no stranger.
MARK = "MEDIANEST_SUPERVISED"
LEFTOVER_SECONDS = 3.0  # they were told when their supervisor died; what is cut short here is repeated anyway


@contextmanager
def sole_owner(data_dir: Path) -> Iterator[None]:
    """Hold `data_dir` for ourselves; the kernel gives it back when we end, however we end.

    Raises:
        CommandError: another process holds it, or the folder cannot be made.
    """
    try:
        private_folders.make(data_dir)
        descriptor = os.open(data_dir / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CommandError(f"DATA_DIR {data_dir} cannot be used: {error.strerror}") from None
    with os.fdopen(descriptor, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = lock.read().strip()
            raise CommandError(f"MediaNest already runs on {data_dir}; stop it first: kill {pid}") from None
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def mark(data_dir: Path) -> dict[str, str]:
    """What the environment of every child of the owner of `data_dir` holds."""
    return {MARK: str(data_dir.resolve())}


def end_leftovers(data_dir: Path) -> int:
    """End what an earlier owner of `data_dir` left running; returns how many processes there were.

    A frozen one is no exception: it gets no word, but SIGKILL after a moment. Otherwise it would thaw one day, find
    that it was told to end, and take the socket of its successor along.
    """
    wanted = mark(data_dir)[MARK]
    found = holders(data_dir)
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(MARK) == wanted:
                # Descendants too: PostgreSQL's write their title over their environment.
                found |= {process, *process.children(recursive=True)}
    end_all(found, LEFTOVER_SECONDS)
    return len(found)
