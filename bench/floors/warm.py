"""The floor of a download: yt-dlp in warmed-up processes, without rows, leases, sockets or publishing."""

from __future__ import annotations

import multiprocessing as mp
import os
import shutil
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from yt_dlp import YoutubeDL  # type: ignore[import-untyped]

from engine.clients.fetch_signals import FetchSpec, Progress
from engine.clients.media.binaries import ffmpeg_path
from engine.clients.ytdlp.fetch import fetch, warm_up


def first_bytes(pipe: Connection, folder: Path) -> None:
    """For each URL from the pipe: seconds from the fork of a fetch to its first bytes."""
    warm_up()
    ffmpeg_path()  # the first call runs ffmpeg once
    try:
        while True:
            pipe.send(_first_bytes(pipe.recv(), folder))
    except EOFError:
        return


def _first_bytes(url: str, folder: Path) -> float:
    read_end, write_end = os.pipe()
    began = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        _fetch_until_bytes(url, folder, write_end)
    os.close(write_end)
    byte = os.read(read_end, 1)
    took = time.perf_counter() - began
    os.close(read_end)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    shutil.rmtree(folder, ignore_errors=True)
    assert byte, "the fetch ended without a byte"
    return took


def _fetch_until_bytes(url: str, folder: Path, write_end: int) -> None:
    """In the forked process; never returns."""

    def emit(signal: Any) -> None:
        if isinstance(signal, Progress) and signal.downloaded_bytes:
            os.write(write_end, b"!")
            time.sleep(5)

    try:
        spec = FetchSpec(url=url, quality="best", format="mp4", work_dir=folder, ffmpeg=ffmpeg_path())
        fetch(spec, emit)
    finally:
        os._exit(1)


def pool(pipe: Connection, processes: int) -> None:
    """For each list of (URL, target) from the pipe: seconds until the pool has fetched them all."""
    warm_up()
    with mp.get_context("fork").Pool(processes) as workers:
        try:
            while True:
                wanted = pipe.recv()
                began = time.perf_counter()
                workers.map(_plain, wanted, chunksize=1)
                pipe.send(time.perf_counter() - began)
        except EOFError:
            return


def _plain(wanted: tuple[str, str]) -> None:
    url, target = wanted
    options = {"quiet": True, "no_warnings": True, "noprogress": True, "updatetime": False}
    with YoutubeDL({**options, "outtmpl": {"default": target}}) as ydl:
        assert ydl.download([url]) == 0
