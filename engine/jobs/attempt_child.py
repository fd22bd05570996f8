"""The inside of an attempt's process: waits for its start, runs the target, and writes what came out into the pipe."""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from engine.jobs.attempt_bounds import bound_memory, is_out_of_memory
from engine.jobs.attempt_pipe import packed, write_all

Emit = Callable[[Any], None]

START = b"!"  # the parent has written down who we are
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


@dataclass(frozen=True)
class Isolated:
    """What came out of the process: a value, the error that was raised in it, or that it got no more memory."""

    value: Any = None
    error: BaseException | None = None
    starved: bool = False


def run_and_exit(
    target: Callable[[Any, Emit], Any], spec: Any, results: int, start: int, parent: int, memory: int
) -> NoReturn:
    """Run `target(spec, emit)`; nothing returns from here, and nothing of the parent is cleaned up on leaving.

    Args:
        target: see `run_isolated`.
        spec: for it.
        results: the descriptor that emitted values and an `Isolated` are written to.
        start: the descriptor that `START` comes from.
        parent: process id of the pool child.
        memory: bytes that this process may allocate.
    """
    try:
        os.setpgid(0, 0)
        _die_with(parent)
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)
        # A platform may tell every process to end: our parent ends us, once it has made sure that it is no crash.
        signal.signal(signal.SIGTERM, lambda *_: None)
        gc.freeze()
        if os.read(start, 1) != START:
            os._exit(0)
        _run(target, spec, results, memory)
    except BaseException:  # noqa: BLE001 - nothing may return from here into the parent's code
        traceback.print_exc(file=sys.stderr)
        os._exit(70)
    os._exit(0)


def _run(target: Callable[[Any, Emit], Any], spec: Any, results: int, memory: int) -> None:
    def emit(message: Any) -> None:
        write_all(results, packed(message))

    starved = packed(Isolated(starved=True))  # made while there is memory for it
    bound_memory(memory)
    try:
        write_all(results, _outcome(target, spec, emit) or starved)
    except MemoryError:
        write_all(results, starved)


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
