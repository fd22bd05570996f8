"""Keeps processes running: relays what they say, starts again what dies, ends all of them."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Self

import psutil

from cli.processes import Process, adopt_orphans, kill_tree, signal_group
from cli.supervision.console import Console
from cli.supervision.output import Output

# The promise is to be gone within 10 s; a worker's own shutdown takes up to 8 s.
PROCESS_STOP_SECONDS = 8.0
DATABASE_STOP_SECONDS = 1.5
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0  # before a restart, doubling
STEADY_SECONDS = 20.0  # after which a process counts as well: its next pause is the first again
_ORPHAN_CHECK_SECONDS = 5.0
_ASK_SECONDS = 0.2


class StopRequested(Exception):
    """A signal asked us to stop."""


@dataclass
class Child:
    """A process to keep running.

    Attributes:
        start: starts it, its output in a pipe.
        stop_signal: what asks it to end.
        database: stopped last, when nobody needs it any more.
        once: it ends by itself and is not started again.
        is_ready: asked after a restart, until it says yes; that is reported.
    """

    name: str
    start: Callable[[], Process]
    stop_signal: signal.Signals = signal.SIGTERM
    database: bool = False
    once: bool = False
    is_ready: Callable[[], bool] | None = None
    process: Process | None = None
    exit_code: int | None = None
    started_at: float = 0.0
    pause: float = FIRST_PAUSE
    due_at: float | None = None
    recovering: bool = False
    ask_at: float = 0.0


class Supervisor:
    """Runs children from one thread: a loop over their output, their ends and the signals we get.

    Use it as a context manager from the main thread; leaving it ends every child and every descendant.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._children: list[Child] = []
        self._selector = selectors.DefaultSelector()
        self._stop_requested = False
        self._interrupts = 0
        self._stopping = False
        self._orphans_due_at = 0.0

    def __enter__(self) -> Self:
        adopt_orphans()
        # The interpreter writes a byte here on each signal: the loop wakes up at once.
        self._wakeup, self._wakeup_end = socket.socketpair()
        self._wakeup.setblocking(False)
        self._wakeup_end.setblocking(False)
        signal.set_wakeup_fd(self._wakeup_end.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, self._on_stop_signal)
        signal.signal(signal.SIGCHLD, lambda _signum, _frame: None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        signal.set_wakeup_fd(-1)
        self._selector.close()
        self._wakeup.close()
        self._wakeup_end.close()

    def add(self, child: Child) -> None:
        """Start `child` and look after it."""
        self._children.append(child)
        self._start(child)

    def run_until(
        self, condition: Callable[[], bool], timeout: float | None = None, *, pause: float = 0.05
    ) -> bool:
        """Keep everything running until `condition`, asked every `pause` seconds, holds.

        Returns:
            True; or False when `timeout` seconds have passed first.

        Raises:
            StopRequested: a signal came.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not condition():
            turn_ends_at = time.monotonic() + pause
            if deadline is not None and turn_ends_at > deadline:
                return False
            while (left := turn_ends_at - time.monotonic()) > 0:
                self._turn(left)
                if self._stop_requested:
                    raise StopRequested
        return True

    def run_once(self, name: str, start: Callable[[], Process]) -> int:
        """Run a process to its end; returns its exit code, negative for a signal."""
        child = Child(name, start, once=True)
        self.add(child)
        self.run_until(lambda: child.exit_code is not None)
        self._children.remove(child)
        return child.exit_code or 0

    def _on_stop_signal(self, signum: int, _frame: FrameType | None) -> None:
        self._stop_requested = True
        self._interrupts += signum == signal.SIGINT

    def _start(self, child: Child) -> None:
        child.due_at = None
        child.started_at = time.monotonic()
        try:
            child.process = child.start()
        except OSError as error:  # out of memory or processes; it may pass
            self._start_later(child, f"cannot be started ({error.strerror})")
            return
        if child.process.stdout is not None:
            output = Output(child.name, child.process.stdout)
            self._selector.register(output.pipe, selectors.EVENT_READ, output)

    def _start_later(self, child: Child, reason: str) -> None:
        now = time.monotonic()
        if now - child.started_at >= STEADY_SECONDS:
            child.pause = FIRST_PAUSE
        child.due_at = now + child.pause
        child.recovering = child.is_ready is not None
        self.console.say(f"{child.name} {reason}; starting it again in {child.pause:g} s")
        child.pause = min(child.pause * 2, LONGEST_PAUSE)

    def _turn(self, longest: float) -> None:
        """One round of the loop, at most `longest` seconds when nothing happens."""
        now = time.monotonic()
        due = [child.due_at for child in self._children if child.due_at is not None]
        due += [child.ask_at for child in self._children if child.recovering and child.process is not None]
        wait = min([longest, self._orphans_due_at - now, *(moment - now for moment in due)])
        for key, _ in self._selector.select(max(0.0, wait)):
            if key.data is None:
                with suppress(BlockingIOError):
                    self._wakeup.recv(4096)
            else:
                self._relay(key.data)
        for child in self._children:
            self._look_after(child)
        self._end_orphans()

    def _relay(self, output: Output) -> None:
        pipe = output.pipe.fileno()
        for line in output.lines():
            self.console.line(output.name, line)
        if output.pipe.closed:
            self._selector.unregister(pipe)

    def _look_after(self, child: Child) -> None:
        if child.process is None:
            if child.due_at is not None and time.monotonic() >= child.due_at:
                self._start(child)
        elif (code := child.process.poll()) is not None:
            self._bury(child, child.process.pid, code)
        elif child.recovering:
            self._ask_again(child)

    def _ask_again(self, child: Child) -> None:
        now = time.monotonic()
        if child.is_ready is None or now < child.ask_at:
            return
        child.ask_at = now + _ASK_SECONDS
        if child.is_ready():
            child.recovering = False
            self.console.say(f"{child.name} answers again")

    def _bury(self, child: Child, pid: int, code: int) -> None:
        # What a dead leader left in its group would keep its port, or go on with nobody to answer to.
        signal_group(pid, signal.SIGKILL)
        self._orphans_due_at = 0.0
        child.process, child.exit_code = None, code
        if not (self._stopping or child.once):
            self._start_later(child, _how_it_ended(code))

    def _end_orphans(self) -> None:
        """Kill descendants that we inherited: whoever was responsible for them is dead."""
        now = time.monotonic()
        if now < self._orphans_due_at:
            return
        self._orphans_due_at = now + _ORPHAN_CHECK_SECONDS
        ours = {child.process.pid for child in self._children if child.process is not None}
        for process in psutil.Process().children():
            if process.pid not in ours:
                with suppress(psutil.Error):
                    process.kill()
                with suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)

    def _stop(self) -> None:
        self._stopping = True
        patience = min(self._interrupts, 1)
        for child in self._children:
            child.due_at = None
        deadline = time.monotonic() + PROCESS_STOP_SECONDS
        self._end([child for child in self._children if not child.database], deadline, patience)
        deadline = time.monotonic() + DATABASE_STOP_SECONDS
        self._end([child for child in self._children if child.database], deadline, patience)
        while kill_tree(os.getpid(), itself=False):
            self._orphans_due_at = 0.0
            self._turn(0.02)
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                self._relay(key.data)
                key.data.pipe.close()

    def _end(self, children: list[Child], deadline: float, patience: int) -> None:
        """Ask `children` to end; kill them at `deadline`, or at once when the person interrupts again."""
        for child in children:
            if child.process is not None:
                child.process.send_signal(child.stop_signal)
        while running := [child.process for child in children if child.process is not None]:
            if time.monotonic() >= deadline or self._interrupts > patience:
                for process in running:
                    kill_tree(process.pid)
            self._turn(0.05)


def _how_it_ended(code: int) -> str:
    return f"ended with code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"
