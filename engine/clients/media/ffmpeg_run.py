"""Runs ffmpeg once and follows its progress."""

from __future__ import annotations

import subprocess
from collections import deque
from collections.abc import Callable, Sequence

from engine.clients.fetch_errors import FetchError

Tick = Callable[[float | None], None]

LOCAL = ("-protocol_whitelist", "file")
_LONGEST_LINE = 4096  # characters: error messages may quote text from the file
_NO_MEMORY = (  # what ffmpeg prints at the attempt's memory limit
    "Cannot allocate memory",
    "Memory allocation error",
    "Failed to allocate",
    "pthread_create() failed",  # no room for its stack
)


def run(command: Sequence[str], duration: float | None, tick: Tick) -> None:
    """Run an ffmpeg command, given without its general options.

    `tick` is called with the fraction done of `duration` seconds (0 to 1; None if unknown) whenever it made progress.

    Raises:
        FetchError: processing, disk_full; its detail has the end of ffmpeg's output.
        MemoryError: ffmpeg reached the attempt's memory limit.
        Exception: whatever `tick` raises; ffmpeg is killed then.
    """
    program, *arguments = command
    quiet = ("-hide_banner", "-nostdin", "-y", "-loglevel", "error")
    progress = ("-progress", "pipe:1", "-stats_period", "0.5")
    # One pipe for progress and errors: with two, ffmpeg could block on a full one while the other is read.
    with subprocess.Popen(
        [program, *quiet, *progress, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            complaints = _follow(process, duration, tick)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        text = "\n".join(complaints)
        if any(words in text for words in _NO_MEMORY):
            raise MemoryError(text[-1000:])
        raise FetchError("disk_full" if "No space left" in text else "processing", detail=text[-1000:])


def _follow(process: subprocess.Popen[str], duration: float | None, tick: Tick) -> deque[str]:
    """Read until ffmpeg ends, and tick only on progress, so that the stall timeout notices a stuck ffmpeg."""
    complaints: deque[str] = deque(maxlen=20)
    now: dict[str, str] = {}
    before: dict[str, str] = {}
    assert process.stdout is not None
    while line := process.stdout.readline(_LONGEST_LINE):
        key, separator, value = line.strip().partition("=")
        if not separator or " " in key:
            complaints.append(line.strip())
        elif key in {"out_time_us", "total_size"}:
            now[key] = value
        elif key == "progress" and now != before:
            before = dict(now)
            done = now.get("out_time_us", "")
            tick(int(done) / 1e6 / duration if duration and done.isdecimal() else None)
    return complaints
