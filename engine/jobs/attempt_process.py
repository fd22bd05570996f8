"""One attempt, one killable process: forked from the warm pool child, leader of its own group, fed by a pipe."""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import structlog

from engine.jobs.attempt_bounds import OverMemory, OverTime, Stuck, bound_memory, is_out_of_memory, memory_of
from engine.jobs.attempt_pipe import MessageReader, packed, write_all
from engine.jobs.drain import Draining, draining
from engine.jobs.owner import process
from engine.jobs.runner import Attempt, Crashed

log = structlog.get_logger(__name__)

S = TypeVar("S")
Emit = Callable[[Any], None]

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_BEAT = 1.0  # seconds between two looks at the row: what a cancel waits for at most


@dataclass(frozen=True)
class Isolated:
    """What came out of the process: a value, the error that was raised in it, or that it got no more memory."""

    value: Any = None
    error: BaseException | None = None
    starved: bool = False


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class _Bounds:
    """Of a whole attempt: seconds, and bytes of memory."""

    seconds: float | None
    memory: int


def run_isolated(
    attempt: Attempt[Any],
    target: Callable[[S, Emit], Any],
    spec: S,
    *,
    on_signal: Callable[[Any], Mapping[str, Any]],
    patience: Callable[[], float],
    on_beat: Callable[[], None] = _nothing,
    deadline: float | None = None,
    memory: int | None = None,
) -> Any:
    """Run `target(spec, emit)` in a process of its own and return what it returned.

    While it runs, the row is looked at and its lease renewed each second. The process, with all it started, is
    killed as soon as the row is lost, cancelled, or this worker shuts down, or when it gives no sign for longer
    than `patience()` seconds, runs longer than `deadline` seconds, or takes more than `memory` bytes.

    Args:
        attempt: the claimed row; learns the identity of the process before the process begins.
        target: must neither use the database nor Redis: their connections belong to the parent.
        spec: plain values.
        on_signal: gets each value that `target` emits; returns columns to write at the next look.
        patience: how long the present phase may be silent.
        on_beat: called about once a second; what it raises ends the attempt.
        deadline: seconds in all.
        memory: bytes of the process and all it starts, together; by default `download_memory_limit`.

    Raises:
        Crashed: the process died without a word.
        Stuck: it was killed for silence. OverTime: for its `deadline`. OverMemory: for its memory, or it got no more.
        Exception: whatever `target` raised.
    """
    results, child_results = os.pipe()
    child_go, go = os.pipe()
    parent = os.getpid()
    bounds = _Bounds(deadline, memory or attempt.runtime.settings.download_memory_limit)
    pid = os.fork()
    if pid == 0:
        os.close(results)
        os.close(go)
        _child(target, spec, child_results, child_go, parent, bounds.memory)
    os.close(child_results)
    os.close(child_go)
    with suppress(OSError):  # it was faster, or is gone
        os.setpgid(pid, pid)
    try:
        owner = {**(attempt.row.lease_owner or {}), "attempt": process(pid)}
        attempt.write(lease_owner=owner)
        try:
            os.write(go, b"!")
        except BrokenPipeError:
            raise Crashed(_cause_of_death(pid)) from None
        return _supervise(attempt, pid, results, on_signal, patience, on_beat, bounds)
    finally:
        os.close(go)
        os.close(results)
        _end(pid)


def _supervise(
    attempt: Attempt[Any],
    pid: int,
    results: int,
    on_signal: Callable[[Any], Mapping[str, Any]],
    patience: Callable[[], float],
    on_beat: Callable[[], None],
    bounds: _Bounds,
) -> Any:
    reader = MessageReader(results)
    began = sign = beaten = time.monotonic()
    pending: dict[str, Any] = {}
    while True:
        readable, _, _ = select.select([results], [], [], 0.2)
        now = time.monotonic()
        if readable:
            sign = now
            for message in reader.messages():
                if isinstance(message, Isolated):
                    if pending:
                        attempt.beat(pending)
                    if message.starved:
                        raise OverMemory
                    if message.error is not None:
                        if draining():  # ffmpeg was told to end too
                            raise Draining
                        raise message.error
                    return message.value
                pending.update(on_signal(message))
            if reader.ended:
                raise Crashed(_cause_of_death(pid))
        if now - beaten >= _BEAT or draining():
            beaten = now
            attempt.beat(pending)
            pending = {}
            if memory_of(pid) > bounds.memory:
                raise OverMemory
            on_beat()
        if bounds.seconds is not None and now - began > bounds.seconds:
            raise OverTime
        if now - sign > patience():
            raise Stuck


def _child(
    target: Callable[[Any, Emit], Any], spec: Any, results: int, go: int, parent: int, memory: int
) -> NoReturn:
    """The attempt's process: nothing returns from here, and nothing of the parent is cleaned up on leaving."""
    try:
        os.setpgid(0, 0)
        _die_with(parent)
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)
        # A platform may tell every process to end: our parent ends us, once it has made sure that it is no crash.
        signal.signal(signal.SIGTERM, lambda *_: None)
        gc.freeze()
        if os.read(go, 1) != b"!":
            os._exit(0)

        def emit(message: Any) -> None:
            write_all(results, packed(message))

        starved = packed(Isolated(starved=True))  # made while there is memory for it
        bound_memory(memory)
        try:
            write_all(results, _outcome(target, spec, emit) or starved)
        except MemoryError:
            write_all(results, starved)
    except BaseException:  # noqa: BLE001 - nothing may return from here into the parent's code
        traceback.print_exc(file=sys.stderr)
        os._exit(70)
    os._exit(0)


def _outcome(target: Callable[[Any, Emit], Any], spec: Any, emit: Emit) -> bytes | None:
    """What comes out, as it travels; None where there was no more memory."""
    try:
        return packed(Isolated(value=target(spec, emit)))
    except Exception as error:  # noqa: BLE001 - it is raised again, in the parent
        return None if is_out_of_memory(error) else packed(Isolated(error=_picklable(error)))


def _picklable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - whatever it is that can't travel, its text can
        traceback.print_exception(error, file=sys.stderr)
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _die_with(parent: int) -> None:
    """Ask the kernel to kill us when the pool child dies; elsewhere than on Linux the pipe's end does it.

    And to make us the parent of what our programs leave behind, so that its memory is counted as ours.
    """
    if sys.platform == "linux":
        kernel = ctypes.CDLL(None)
        kernel.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        kernel.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != parent:
        os._exit(0)


def _end(pid: int) -> None:
    """Kill the whole group and bury the process."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _cause_of_death(pid: int) -> str:
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return "unknown"
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"exit code {os.WEXITSTATUS(status)}"


__all__ = ["Emit", "Isolated", "OverMemory", "OverTime", "Stuck", "run_isolated"]
