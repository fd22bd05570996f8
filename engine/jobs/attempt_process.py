"""One attempt, one killable process: forked from the warm pool child, leader of its own group, fed by a pipe."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from engine.jobs.attempt_bounds import OverMemory, OverTime, Stuck, memory_of
from engine.jobs.attempt_child import START, Emit, Isolated, run_and_exit
from engine.jobs.attempt_pipe import MessageReader
from engine.jobs.owner import process
from engine.jobs.runner import Attempt, Crashed
from engine.jobs.shutdown import ShuttingDown, is_shutting_down

S = TypeVar("S")

_BEAT = 1.0  # seconds between two looks at the row: what a cancel waits for at most


def _nothing() -> None:
    return None


def run_isolated(
    attempt: Attempt[Any],
    target: Callable[[S, Emit], Any],
    spec: S,
    *,
    on_signal: Callable[[Any], Mapping[str, Any]],
    silence_limit: Callable[[], float],
    on_beat: Callable[[], None] = _nothing,
    deadline: float | None = None,
    memory: int | None = None,
) -> Any:
    """Run `target(spec, emit)` in a process of its own and return what it returned.

    While it runs, the row is looked at and its lease renewed each second. The process, with all it started, is
    killed as soon as the row is lost, cancelled, or this worker shuts down, or when it gives no sign for longer
    than `silence_limit()` seconds, runs longer than `deadline` seconds, or takes more than `memory` bytes.

    Args:
        attempt: the claimed row; learns the identity of the process before the process begins.
        target: must neither use the database nor Redis: their connections belong to the parent.
        spec: plain values.
        on_signal: gets each value that `target` emits; returns columns to write at the next look.
        silence_limit: seconds that the present phase may be silent.
        on_beat: called about once a second; what it raises ends the attempt.
        deadline: seconds in all.
        memory: bytes of the process and all it starts, together; by default `download_memory_limit`.

    Raises:
        Crashed: the process died without a word.
        Stuck: it was killed for silence. OverTime: for its `deadline`. OverMemory: for its memory, or it got no more.
        Exception: whatever `target` raised.
    """
    rules = _Rules(
        on_signal, silence_limit, on_beat, deadline, memory or attempt.runtime.settings.download_memory_limit
    )
    child = _AttemptProcess.fork(target, spec, rules.memory)
    try:
        attempt.write(lease_owner={**(attempt.row.lease_owner or {}), "attempt": process(child.pid)})
        child.start()
        return _Supervision(attempt, child, rules).outcome()
    finally:
        child.end()


@dataclass(frozen=True)
class _Rules:
    """What is done with the signs of life of a process, and what it may take; see `run_isolated`."""

    on_signal: Callable[[Any], Mapping[str, Any]]
    silence_limit: Callable[[], float]
    on_beat: Callable[[], None]
    deadline: float | None
    memory: int


@dataclass(frozen=True)
class _AttemptProcess:
    """The forked process, which leads its own group; `results` and `go` are our ends of its pipes."""

    pid: int
    results: int
    go: int

    @classmethod
    def fork(cls, target: Callable[[S, Emit], Any], spec: S, memory: int) -> _AttemptProcess:
        """Fork one that waits for `start`."""
        results, child_results = os.pipe()
        child_go, go = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(results)
            os.close(go)
            run_and_exit(target, spec, child_results, child_go, parent, memory)
        os.close(child_results)
        os.close(child_go)
        with suppress(OSError):  # it was faster, or is gone
            os.setpgid(pid, pid)
        return cls(pid, results, go)

    def start(self) -> None:
        """Let it begin.

        Raises:
            Crashed: it is dead already.
        """
        try:
            os.write(self.go, START)
        except BrokenPipeError:
            raise Crashed(self.cause_of_death()) from None

    def end(self) -> None:
        """Kill the whole group and bury the process."""
        os.close(self.go)
        os.close(self.results)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def cause_of_death(self) -> str:
        """The signal or exit code that it ended with, in words for the log."""
        try:
            _, status = os.waitpid(self.pid, 0)
        except ChildProcessError:
            return "unknown"
        if os.WIFSIGNALED(status):
            return signal.Signals(os.WTERMSIG(status)).name
        return f"exit code {os.WEXITSTATUS(status)}"


class _Supervision:
    """Listens to a process, keeps its row's lease, and holds it to its rules."""

    def __init__(self, attempt: Attempt[Any], child: _AttemptProcess, rules: _Rules) -> None:
        self._attempt, self._child, self._rules = attempt, child, rules
        self._reader = MessageReader(child.results)
        self._began = self._sign = self._beaten = time.monotonic()
        self._pending: dict[str, Any] = {}  # columns to write at the next look

    def outcome(self) -> Any:
        while True:
            readable, _, _ = select.select([self._child.results], [], [], 0.2)
            now = time.monotonic()
            if readable:
                self._sign = now
                end = self._hear()
                if end is not None:
                    return self._value_of(end)
            if now - self._beaten >= _BEAT or is_shutting_down():
                self._beaten = now
                self._beat()
            if self._rules.deadline is not None and now - self._began > self._rules.deadline:
                raise OverTime
            if now - self._sign > self._rules.silence_limit():
                raise Stuck

    def _hear(self) -> Isolated | None:
        """Take in what was emitted; returns what came out, where that is among it."""
        for message in self._reader.messages():
            if isinstance(message, Isolated):
                return message
            self._pending.update(self._rules.on_signal(message))
        if self._reader.ended:
            raise Crashed(self._child.cause_of_death())
        return None

    def _value_of(self, end: Isolated) -> Any:
        if self._pending:
            self._attempt.beat(self._pending)
        if end.starved:
            raise OverMemory
        if end.error is not None:
            if is_shutting_down():  # ffmpeg was told to end too
                raise ShuttingDown
            raise end.error
        return end.value

    def _beat(self) -> None:
        self._attempt.beat(self._pending)
        self._pending = {}
        if memory_of(self._child.pid) > self._rules.memory:
            raise OverMemory
        self._rules.on_beat()


__all__ = ["Emit", "OverMemory", "OverTime", "Stuck", "run_isolated"]
