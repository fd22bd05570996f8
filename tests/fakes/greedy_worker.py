"""The workers' app with a fetch that eats memory in the way that its URL names: `?eat=once`, `slowly` or `program`."""

from __future__ import annotations

import subprocess
import sys
import time
from urllib.parse import parse_qs, urlsplit

from engine.clients.ytdlp import fetch as ytdlp
from engine.downloads import work as download_work
from tasks.app import app

_fetch = ytdlp.fetch
_BLOCK = 32 << 20
_PROGRAM = f"import time\nkept=[]\nwhile True: kept.append(bytearray({_BLOCK})); time.sleep(.1)"


def fetch(spec: ytdlp.FetchSpec, emit: object) -> object:
    ways = parse_qs(urlsplit(spec.url).query).get("eat")
    if ways is None:
        return _fetch(spec, emit)  # type: ignore[arg-type]
    if ways == ["once"]:
        return bytearray(6 << 30)
    programs = [
        subprocess.Popen([sys.executable, "-c", _PROGRAM]) for _ in range(2 if ways == ["program"] else 0)
    ]
    kept = []
    while True:
        kept.append(bytearray(0 if programs else _BLOCK))
        time.sleep(0.1)


download_work.fetch = fetch  # type: ignore[assignment]

__all__ = ["app"]
