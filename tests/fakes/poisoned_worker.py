"""The workers' app with a fetch that takes its pool child down: a job that no worker survives."""

from __future__ import annotations

import os
import signal
import time
from typing import NoReturn

from engine.clients.ytdlp import fetch as ytdlp
from engine.downloads import work as download_work
from tasks.app import app

_fetch = ytdlp.fetch


def fetch(spec: ytdlp.FetchSpec, emit: object) -> object:
    if "poison" not in spec.url:
        return _fetch(spec, emit)  # type: ignore[arg-type]
    return _kill_parent()


def _kill_parent() -> NoReturn:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
    raise AssertionError("the kernel should have ended this process")


download_work.fetch = fetch  # type: ignore[assignment]

__all__ = ["app"]
