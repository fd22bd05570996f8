"""What the doctor sees on this machine, whether MediaNest runs or not."""

from __future__ import annotations

import importlib.metadata
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from cli.doctor.finding import Finding, fail, ok, warn
from config.settings import Settings
from engine.clients.media.binaries import ffmpeg_path
from engine.clients.ytdlp.options import deno_path
from engine.downloads.budget import free_bytes, reserve_bytes

YTDLP_DAYS = 60  # sites change; after two months YouTube may well refuse an old yt-dlp
_PROGRAM_SECONDS = 20.0


def folders(settings: Settings) -> Iterator[Finding]:
    """Write access, and free space against the reserve."""
    for name, folder in _named(settings).items():
        there = _nearest(folder)
        try:
            with tempfile.TemporaryFile(dir=there, prefix=".medianest-doctor-"):
                pass
        except OSError as error:
            yield fail(
                name,
                f"{folder} can't be written to: {error.strerror}",
                f"let the user that runs MediaNest write there, or set {name} to another folder",
            )
            continue
        yield ok(name, f"{folder} can be written to" if there == folder else f"{folder} will be made")


def space(settings: Settings) -> Iterator[Finding]:
    """Free space, of each file system once."""
    seen: set[int] = set()
    for name, folder in _named(settings).items():
        there = _nearest(folder)
        device = there.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        free, reserve = free_bytes(there), reserve_bytes(there, settings)
        text = f"{_size(free)} free on the file system of {name}, {_size(reserve)} of it kept in reserve"
        if free < reserve:
            yield fail("space", text, "make room: downloads wait until the reserve is free again")
        elif free < 2 * reserve:
            yield warn("space", text, "make room soon: below the reserve downloads wait")
        else:
            yield ok("space", text)


def ytdlp(today: date | None = None) -> Iterator[Finding]:
    """The age of yt-dlp, whose version is the day of its release."""
    version = importlib.metadata.version("yt-dlp")
    year, month, day = (int(part) for part in version.split(".")[:3])
    age = ((today or datetime.now(UTC).date()) - date(year, month, day)).days
    if age > YTDLP_DAYS:
        advice = "install a newer MediaNest, or until then: pip install --upgrade 'yt-dlp[default,deno]'"
        yield warn("yt-dlp", f"{version} is {age} days old; sites change faster", advice)
    else:
        yield ok("yt-dlp", f"{version}, {age} days old")


def javascript() -> Iterator[Finding]:
    """The runtime for YouTube's challenges."""
    try:
        yield ok("javascript", _first_line(deno_path(), "--version"))
    except (OSError, subprocess.SubprocessError, ImportError) as error:
        advice = "pip install --force-reinstall deno; without it YouTube hides most formats"
        yield fail("javascript", f"deno does not run: {_reason(error)}", advice)


def ffmpeg() -> Iterator[Finding]:
    """The program that merges and converts."""
    try:
        yield ok("ffmpeg", _first_line(ffmpeg_path(), "-version").partition(" Copyright")[0])
    except (OSError, subprocess.SubprocessError, RuntimeError) as error:
        advice = "pip install --force-reinstall imageio-ffmpeg, or name another by IMAGEIO_FFMPEG_EXE"
        yield fail("ffmpeg", f"it does not run: {_reason(error)}", advice)


def may_listen(host: str, port: int) -> OSError | None:
    """Why nobody can listen there; None where it is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error
    return None


def _named(settings: Settings) -> dict[str, Path]:
    return {
        "DATA_DIR": settings.data_dir,
        "DOWNLOAD_DIR": settings.download_dir,
        "WORK_DIR": settings.work_dir,
    }


def _nearest(folder: Path) -> Path:
    """The folder, or the one above it that exists already."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _first_line(program: str, option: str) -> str:
    done = subprocess.run(
        [program, option], capture_output=True, text=True, check=True, timeout=_PROGRAM_SECONDS
    )
    return done.stdout.splitlines()[0]


def _reason(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
