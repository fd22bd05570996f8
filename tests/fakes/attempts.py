"""Attempts in processes of their own, as the workers make them, forked from one warm process without threads.

`python -m tests.fakes.attempts` reads pickled orders and writes pickled outcomes; `Attempts` is its other end.
"""

from __future__ import annotations

import gc
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from engine.clients import egress_guard
from engine.clients.ytdlp import entry as fetching
from engine.clients.ytdlp import extract as ytdlp_extract
from engine.clients.ytdlp import fetch as ytdlp  # as workers, so that no attempt imports it

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a process does.

    Attributes:
        call: a function of a module and its arguments. guarded: False takes the guard off.
        allowed: addresses with ports that the guard lets pass, for what stands for the public internet.
        names: what names resolve to: the addresses of the first look-up, of the second; the last one stays.
        environment: variables.
    """

    call: Callable[[], Any]
    guarded: bool = True
    allowed: frozenset[tuple[str, int]] = frozenset()
    names: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


class Attempts(AbstractContextManager["Attempts"]):
    """The warm process."""

    def __enter__(self) -> Attempts:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.attempts"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def __call__(self, order: Order) -> Any:
        """Carry it out; returns what it returned and raises what it raised."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump(order, self._process.stdin)
        self._process.stdin.flush()
        value, error = pickle.load(self._process.stdout)
        if error is not None:
            raise error
        return value


def fetch(spec: Any) -> Any:
    """`fetching.fetch` without anybody who listens."""
    return fetching.fetch(spec, lambda _signal: None)


def fetch_with_memory(more: int, spec: Any) -> tuple[Exception, bool]:
    """Fetch with so many more bytes of memory than now; what was raised, and whether the memory is free again."""
    now = int(Path("/proc/self/statm").read_text().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    ytdlp_extract._MEMORY_LIMIT = now + more
    try:
        fetching.fetch(spec, lambda _signal: None)
    except Exception as error:
        return error, len(bytes(2 * more)) == 2 * more
    raise AssertionError("it was fetched")


def connect(how: str, address: Any, family: int = socket.AF_INET) -> None:
    """One of the ways that Python has of sending something to an address."""
    kind = socket.SOCK_DGRAM if how.startswith("send") else socket.SOCK_STREAM
    with socket.socket(family, kind) as plain:
        match how:
            case "connect_ex":
                plain.connect_ex(address)
            case "sendto":
                plain.sendto(b"x", address)
            case "sendmsg":
                plain.sendmsg([b"x"], [], 0, address)
            case "underneath":
                super(socket.socket, plain).connect(address)
            case _:
                plain.connect(address)


def after_install(install: Mapping[str, Any], steps: Callable[[], Any]) -> Any:
    """Guard this process, then go on."""
    egress_guard.install(**install)
    return steps()


def _carry_out(order: Order, answers: BinaryIO) -> None:
    os.environ.update(order.environment)
    if order.guarded:
        egress_guard.install = partial(egress_guard.install, allowed=order.allowed)
    else:
        egress_guard.install = lambda **_: None  # type: ignore[assignment]
    if order.names:
        socket.getaddrinfo = _Resolver(order.names)
    try:
        outcome = (order.call(), None)
    except Exception as error:
        outcome = (None, error)
    answers.write(pickle.dumps(outcome))
    answers.flush()


class _Resolver:
    """A name server that changes its mind; it knows only these names, and what is an address already."""

    def __init__(self, names: Mapping[str, tuple[tuple[str, int], ...]]) -> None:
        self._left = {name: list(places) for name, places in names.items()}
        self._real = socket.getaddrinfo

    def __call__(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        places = self._left.get(host)
        if places is None:
            return self._real(host, port, *args, **kwargs)
        place = places.pop(0) if len(places) > 1 else places[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place)]


def main() -> None:
    """Fork for each order until there are no more."""
    ytdlp.warm_up(pages=True)
    gc.freeze()
    orders, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            order = pickle.load(orders)
        except EOFError:
            return
        told, tells = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(told)
            try:
                with os.fdopen(tells, "wb") as outcome:
                    _carry_out(order, outcome)
            finally:
                os._exit(0)
        os.close(tells)
        with os.fdopen(told, "rb") as outcome:
            answer = outcome.read()
        _, status = os.waitpid(pid, 0)
        # One that is killed when it has answered did answer: each order gets one answer, or those of others are taken
        # for its own.
        answers.write(answer if _is_whole(answer) else _died(status))
        answers.flush()


def _is_whole(answer: bytes) -> bool:
    try:
        pickle.loads(answer)
    except (EOFError, pickle.UnpicklingError):
        return False
    return True


def _died(status: int) -> bytes:
    return pickle.dumps((None, RuntimeError(f"the attempt died: {status}")))


if __name__ == "__main__":
    from tests.fakes import attempts  # so that both ends pickle the same classes

    attempts.main()
