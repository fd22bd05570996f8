"""`medianest up`: time until it is ready, and memory and CPU while idle."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench.installation import TIMEOUT, scratch
from bench.report import Figure, Target
from tests.stack import BIN, ROOT, eventually, free_port

READY = "MediaNest is ready after"


def start(quick: bool) -> Iterator[Figure]:
    """A first start, which creates the databases, and a second one."""
    with scratch() as folder:
        with up(folder) as first:
            pass
        with up(folder) as second:
            pass
    yield Figure("start", "first start, databases made, to ready", first.seconds, "s")
    yield Figure("start", "second start to ready", second.seconds, "s", target=Target(8))
    yield Figure(
        "start", "from SIGTERM to the end of the last process", second.stopped, "s", target=Target(10)
    )


def idle(quick: bool) -> Iterator[Figure]:
    """Memory as proportional set size (PSS), and CPU time, of all processes."""
    settle, window = (1, 2) if quick else (20, 60)
    with scratch() as folder, up(folder) as running:
        time.sleep(settle)
        before, began = running.cpu(), time.monotonic()
        time.sleep(window)
        share = (running.cpu() - before) / (time.monotonic() - began) * 100
        memory = running.memory()
    yield Figure("idle", "the whole stack, PSS", sum(memory.values()), "MB", target=Target(450))
    for name, size in sorted(memory.items(), key=lambda each: -each[1]):
        yield Figure("idle", f"of that: {name}", size, "MB")
    yield Figure("idle", f"CPU over {window} s", share, "% of a core", target=Target(3))


class Running:
    """The supervisor and its child processes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.seconds = self.stopped = 0.0
        self.output: list[str] = []

    def family(self) -> list[psutil.Process]:
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def cpu(self) -> float:
        """CPU seconds used so far, including children that have ended."""
        total = 0.0
        for member in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += sum(member.cpu_times()[:4])
        return total

    def memory(self) -> dict[str, float]:
        """MB by Procfile process, each including its children."""
        found: defaultdict[str, float] = defaultdict(float)
        root = psutil.Process(self.process.pid)
        found["supervisor"] += _pss(root.pid)
        for child in root.children():
            members = [child, *child.children(recursive=True)]
            found[f"{_role(child)} ({len(members)})"] += sum(_pss(member.pid) for member in members)
        return found


@contextlib.contextmanager
def up(folder: Path) -> Iterator[Running]:
    """The product started by its own command with default settings; yields once it is ready."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("DATABASE_", "REDIS_"))}
    began = time.monotonic()
    process = subprocess.Popen(
        [str(BIN / "medianest"), "up"],
        env={**env, "DATA_DIR": str(folder), "PORT": str(free_port()), "APP_ENV": "development"},
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    running = Running(process)
    ready = threading.Event()

    def follow() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            running.output.append(line)
            if READY in line and not ready.is_set():
                running.seconds = time.monotonic() - began
                ready.set()

    threading.Thread(target=follow, daemon=True).start()
    try:
        eventually(lambda: ready.is_set() or process.poll() is not None, TIMEOUT, what="ready")
        assert ready.is_set(), "".join(running.output)[-3000:]
        yield running
    finally:
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            process.kill()
        running.stopped = time.monotonic() - asked


def _pss(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _role(process: psutil.Process) -> str:
    words = " ".join(process.cmdline())
    known = {
        "postgres": "postgres",
        "redis": "redis",
        "gunicorn": "web",
        "medianest-web": "web",
        "-m schedules": "beat",
    }
    known |= {
        "main flower": "flower",
        "fork_server": "preload",
        "-Q downloads": "downloads",
        "downloads@": "downloads",
        "worker@": "worker",
    }
    return next((role for sign, role in known.items() if sign in words), process.name())
