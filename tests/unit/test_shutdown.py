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


FORKED = """
import os, sys
from engine.jobs import shutdown

def forked(work):
    pid = os.fork()
    if pid == 0:
        os._exit(work())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def worker():  # stops, and its pool child sees it
    shutdown.own_flag()
    shutdown.start_shutdown()
    return forked(lambda: 3 if shutdown.is_shutting_down() else 4)

def successor():
    shutdown.own_flag()
    return 5 if shutdown.is_shutting_down() else 0

print(forked(worker), forked(successor), shutdown.is_shutting_down())
"""


def test_workers_that_were_forked_from_one_process_stop_each_by_itself() -> None:
    told = subprocess.run(
        [sys.executable, "-c", FORKED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["3", "0", "False"], (
        "its child sees it, the next worker and the parent don't"
    )
