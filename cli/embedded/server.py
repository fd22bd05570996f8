"""What the embedded servers share: prepare, start, be ready, stop."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from cli.embedded.folders import EmbeddedError
from cli.processes import spawn, wait_until

STOP_SECONDS = 8.0
LOG_BYTES = 1_000_000  # a longer log becomes `<name>.log.1` at the next start


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class EmbeddedServer(ABC):
    """One server below `data_dir`, for the supervisor (prepare, command, is_ready) or on its own (running).

    Args:
        data_dir: holds the server's folder; made where missing.
        durable: False gives up safety against a power cut for speed; for tests.
    """

    name: str
    stop_signal: signal.Signals

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self.data_dir = data_dir.absolute()
        self.durable = durable
        self.account: pwd.struct_passwd | None = None
        self.notices: list[str] = []  # one line each, for the person: what is not where it is expected
        self._log = self.data_dir / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """How clients reach it; known once prepared."""

    def was_made(self) -> bool:
        """Whether it has ever been started here."""
        folder = self.data_dir / self.name
        return folder.exists() or folder.with_name(f"{self.name}.location").exists()

    @abstractmethod
    def prepare(self) -> None:
        """Make everything that the server needs before its start; harmless when repeated.

        Raises:
            EmbeddedError: it cannot run here.
        """

    @abstractmethod
    def command(self) -> list[str]:
        """The server in the foreground; known once prepared."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it answers a client now: connected, recovery after a crash ended."""

    def start(self, timeout: float = 60.0) -> str:
        """Run the server as our child and wait until it answers; returns its URL.

        Raises:
            EmbeddedError: it ended or did not answer within `timeout` seconds.
        """
        self.prepare()
        process = self._process = self.spawn()
        ready = wait_until(lambda: process.poll() is not None or self.is_ready(), timeout)
        if not ready or process.poll() is not None:
            self.stop()
            raise EmbeddedError(f"{self.name} did not start: {self.last_words()}")
        return self.url

    def spawn(self, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start the server and return at once; what it says is added to `<name>.log` in the data folder."""
        with suppress(OSError):
            if self._log.stat().st_size > LOG_BYTES:
                self._log.replace(self._log.with_suffix(".log.1"))
        with open(self._log, "ab", opener=_private) as log:
            return spawn(
                self.command(),
                env=env,
                death_signal=self.stop_signal,
                account=self.account,
                cwd=Path("/"),
                output=log,
            )

    def last_words(self) -> str:
        """The end of its log, in one line."""
        lines = self._log.read_text(errors="replace").strip().splitlines()[-3:]
        return " / ".join(line.strip() for line in lines) or "no output"

    def stop(self) -> None:
        """End the server: cleanly, or after 8 seconds by force; nothing happens when it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(self.stop_signal)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @contextmanager
    def running(self) -> Iterator[str]:
        """The server's URL, while it runs."""
        try:
            yield self.start()
        finally:
            self.stop()
