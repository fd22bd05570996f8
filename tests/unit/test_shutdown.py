"""A worker that is told to go goes, even when its own shutdown never ends."""

from __future__ import annotations

import signal
import subprocess
import sys

import psutil
from stack import ROOT, eventually

DEAF = """
import signal, subprocess, sys, threading
from engine.jobs.shutdown import shut_down_on, is_shutting_down
child = subprocess.Popen(["sleep", "60"])
signal.signal(signal.SIGTERM, lambda *_: threading.Event().wait())
shut_down_on(signal.SIGTERM, end_after=0.5)
print(child.pid, flush=True)
signal.pause()
"""


def test_a_shutdown_that_hangs_is_ended_with_all_it_started() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DEAF], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 1
            eventually(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie", 5)
        finally:
            process.kill()
