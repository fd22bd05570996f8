"""The supervisor's side of the fork server: asks it for processes, and holds those as it holds others."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import IO

from cli.processes import Process, adopt_orphans, spawn
from cli.supervision.command_line import ROOM
from cli.supervision.console import Console
from cli.supervision.fork_server import READY
from cli.supervision.procfile import python_command, shell_command

NAME = "preload"
START_SECONDS = 20.0
_ANSWER_SECONDS = 2.0  # as long as a stop that comes meanwhile can wait


class Forked:
    """A child of ours that the fork server has made; what the supervisor uses of `subprocess.Popen`."""

    def __init__(self, pid: int, stdout: IO[bytes]) -> None:
        self.pid = pid
        self.stdout: IO[bytes] | None = stdout
        self._exit_code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self._exit_code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._exit_code = os.waitstatus_to_exitcode(status)
        return self._exit_code

    def send_signal(self, signum: int) -> None:
        """Send it a signal; one that has ended gets none."""
        if self.poll() is None:
            os.kill(self.pid, signum)


class ForkServer:
    """Starts the lines of a Procfile: from the fork server those it can, by the shell all others.

    Args:
        console: is told when a line that could be forked is not.
        env: the environment of all of them and of the fork server.
    """

    def __init__(self, console: Console, env: Mapping[str, str]) -> None:
        self._console = console
        self._env = env
        self._can_fork = adopt_orphans()  # what it forks has to become our child
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ready = False

    def serves(self, command: str) -> bool:
        """Whether a line can be forked here at all."""
        return self._can_fork and python_command(command, self._env) is not None

    def spawn(self) -> Process:
        """Start the fork server itself; call this from the main thread."""
        self._give_up()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", "cli.supervision.fork_server", ROOM]
            self._process = spawn(command, env=self._env, stdin=theirs.fileno())
        return self._process

    def is_ready(self) -> bool:
        """Whether it has loaded everything and can be asked."""
        if self._control is not None and not self._ready:
            self._control.setblocking(False)
            with suppress(OSError):  # it has not said so yet, or has died
                self._ready = self._control.recv(len(READY)) == READY
        return self._ready

    def start(self, name: str, command: str) -> Process:
        """Start the process `name` of the Procfile, in a session of its own, its output in a pipe.

        Raises:
            OSError: the system refuses.
        """
        wanted = python_command(command, self._env) if self._can_fork else None
        if wanted is not None:
            try:
                return self._fork(*wanted)
            except OSError as error:
                self._console.say(f"{name} is started without the preloaded process: {error}")
        return spawn(shell_command(command), env=self._env)

    def _fork(self, words: list[str], variables: dict[str, str]) -> Forked:
        if self._control is None or not self.is_ready():
            raise ConnectionError("it is not ready")
        reading, writing = os.pipe()
        try:
            self._control.settimeout(_ANSWER_SECONDS)
            socket.send_fds(self._control, [json.dumps([words, variables]).encode()], [writing])
            pid = int(self._control.recv(32) or 0)
            if not pid:
                raise ConnectionError("it could not fork")
        except OSError:
            os.close(reading)
            self._give_up()
            raise
        finally:
            os.close(writing)
        return Forked(pid, os.fdopen(reading, "rb", buffering=0))

    def _give_up(self) -> None:
        """End a fork server that does not do what it is for: the supervisor starts another one."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()
        self._process, self._control, self._ready = None, None, False
