"""One event to many sockets: the main figures of `bench/floors/sockets.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from bench.installation import scratch
from bench.report import Figure, Target
from tests.stack import ROOT


def run(quick: bool) -> Iterator[Figure]:
    """Run `bench/floors/sockets.py`, which prints all figures when run by itself."""
    counts = ("--sockets", "50", "--events", "5") if quick else ("--sockets", "1000", "--events", "50")
    with scratch() as folder:
        file = folder / "sockets.json"
        command = [sys.executable, str(ROOT / "bench/floors/sockets.py"), *counts, "--json", str(file)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        yield from _figures(json.loads(file.read_text()))


def _figures(found: dict[str, Any]) -> Iterator[Figure]:
    number, relay, requests = found["sockets"], found["relay"], found["requests"]
    floor = found["floor"]["fan_out"]
    stalled = next(value for key, value in relay.items() if key.startswith("fan_out_with"))
    what = f"one event to the last of {number:,} sockets"
    yield Figure("sockets", what, relay["fan_out"]["last_ms"], "ms", floor["last_ms"], Target(30))
    yield Figure(
        "sockets", what + ", 10 more stalled", stalled["last_ms"], "ms", floor["last_ms"], Target(30)
    )
    yield Figure("sockets", "memory of a socket", relay["kb_a_socket"], "KB")
    yield Figure("sockets", "CPU of an event", relay["cpu_ms_an_event"], "ms")
    with_sockets = next(value for key, value in requests.items() if key.endswith(f"{number // 2}_sockets"))
    what = f"lists, 4 clients, one process, {number // 2:,} sockets open (floor: none)"
    rate, none = with_sockets["rps"], requests["no_sockets"]["rps"]
    yield Figure("sockets", what, rate, "rps", none, more_is_better=True)
