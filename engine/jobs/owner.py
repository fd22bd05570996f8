"""Who holds a job: a process named so that another can tell whether it lives, and end it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import psutil


@cache
def host_identity() -> str:
    """Name this host and its space of process ids: two containers, or a host before and after a boot, differ."""
    parts = [socket.gethostname()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8])
        parts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    except OSError:
        parts.append(str(int(psutil.boot_time())))
    return "/".join(parts)


def process(pid: int) -> dict[str, Any]:
    """Identify a process of this host for good: its id alone may be given to another one day."""
    return {"pid": pid, "started": psutil.Process(pid).create_time()}


def this_process() -> dict[str, Any]:
    """Identify the calling process as the owner of a lease; `parent` is the worker it is a pool child of."""
    return {"host": host_identity(), "parent": os.getppid(), **process(os.getpid())}


def is_alive(identity: Mapping[str, Any]) -> bool:
    """Whether the process of `process()` still runs on this host (a zombie does not)."""
    try:
        found = psutil.Process(identity["pid"])
        return (
            abs(found.create_time() - identity["started"]) < 0.05 and found.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False


def is_gone(owner: Mapping[str, Any] | None) -> bool:
    """Whether the owner surely is dead: it lived on this host and does not any more."""
    return owner is not None and owner.get("host") == host_identity() and not is_alive(owner)


def end_attempt(owner: Mapping[str, Any] | None) -> bool:
    """Kill the attempt process, with its whole group, that `owner` left on this host; True where there was one.

    The attempt leads its group and its id is the group's. That id can't be given away while the group has a
    member, so: a process of that id but another start means that the group is long gone.
    """
    attempt = (owner or {}).get("attempt")
    if owner is None or attempt is None or owner.get("host") != host_identity():
        return False
    if psutil.pid_exists(attempt["pid"]) and not _same_start(attempt):
        return False
    try:
        os.killpg(attempt["pid"], signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _same_start(identity: Mapping[str, Any]) -> bool:
    try:
        return bool(abs(psutil.Process(identity["pid"]).create_time() - identity["started"]) < 0.05)
    except psutil.NoSuchProcess:
        return True
