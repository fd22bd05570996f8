"""Starting and ending operating system processes so that none outlives its parent."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# Loaded before any fork: between fork and exec nothing may be imported or looked up.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Process(Protocol):
    """What the supervisor uses of a `subprocess.Popen`; its output in a pipe, if anywhere."""

    pid: int
    stdout: IO[bytes] | None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""

    def send_signal(self, signum: int, /) -> None:
        """Send it a signal; one that has ended gets none."""


def run_as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """The arguments of `subprocess` that make a child run as `account`, with none of our groups."""
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def signal_when_parent_dies(signum: signal.Signals) -> None:
    """Ask the kernel to send us `signum` when our parent's thread ends (Linux; elsewhere nothing happens)."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(signum), 0, 0, 0)


def adopt_orphans() -> bool:
    """Become the parent of descendants whose own parent dies; returns whether the system can do that (Linux)."""
    return _libc is not None and _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def end_with_parent(parent: int, signum: signal.Signals) -> None:
    """In a new child of process `parent`: get `signum` when that one ends; end at once if it has ended already."""
    signal_when_parent_dies(signum)
    if _libc is not None and os.getppid() != parent:  # the parent died before the kernel was asked
        os._exit(1)


def spawn(
    command: Sequence[str],
    *,
    death_signal: signal.Signals = signal.SIGTERM,
    account: pwd.struct_passwd | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int = subprocess.DEVNULL,
    output: IO[bytes] | int = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session and process group of its own.

    Args:
        command: program and arguments, run without a shell.
        death_signal: what it gets when we die. The kernel sends it when the starting *thread* ends: call this
            from the main thread.
        account: whom it runs as; None is ourselves.
        env: its whole environment; None is ours.
        cwd: its working directory; None is ours.
        stdin: descriptor of its standard input.
        output: takes standard output and standard error together.
    """
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=env,
        cwd=cwd,
        start_new_session=True,
        preexec_fn=partial(end_with_parent, os.getpid(), death_signal),
        **run_as(account),
    )


def signal_group(pid: int, signum: signal.Signals) -> None:
    """Send `signum` to the process group led by `pid`; a group that is gone is no error."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signum)


def kill_tree(pid: int, *, itself: bool = True) -> int:
    """Kill process `pid` (unless not `itself`) and all its descendants; returns how many there were."""
    try:
        root = psutil.Process(pid)
        tree = [*root.children(recursive=True), *([root] if itself else [])]
    except psutil.NoSuchProcess:
        return 0
    for process in tree:
        with suppress(psutil.Error):
            process.kill()
    return len(tree)


def end_all(processes: Iterable[psutil.Process], patience: float) -> None:
    """End `processes` with SIGTERM, and after `patience` seconds with SIGKILL; returns when all are gone."""
    rest = list(processes)
    for signum, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 2.0)):
        for process in rest:
            with suppress(psutil.Error):
                process.send_signal(signum)
        _, rest = psutil.wait_procs(rest, timeout=seconds)


def wait_until(condition: Callable[[], bool], timeout: float, pause: float = 0.02) -> bool:
    """Poll `condition` until it holds or `timeout` seconds have passed; says whether it held."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)
    return True
