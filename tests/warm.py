"""Processes of ours that begin where their imports end: forked from one process that has made them."""

from __future__ import annotations

import atexit
import importlib
import multiprocessing
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from cli.processes import end_with_parent

ROOT = Path(__file__).resolve().parent.parent
ENTRIES = {
    "gunicorn": ("gunicorn.app.wsgiapp", "run"),
    "celery": ("celery.__main__", "main"),
    "medianest": ("cli.main", "main"),
}
_PACKAGES = ("api", "config", "engine", "models")
_READ_THE_ENVIRONMENT = {"api.wsgi", "api.gunicorn"}
_MORE = (
    "celery.__main__", "celery.app.amqp", "celery.app.control", "celery.app.events", "celery.app.log",
    "celery.apps.beat", "celery.apps.worker", "celery.bin.celery", "celery.concurrency.prefork", "celery.loaders.app",
    "celery.worker.components", "celery.worker.consumer", "celery.worker.strategy", "gunicorn.app.wsgiapp",
    "gunicorn.workers.gthread", "kombu.transport.redis", "cli.doctor.command", "cli.maintenance.backup",
    "cli.maintenance.rotate_key",
)  # fmt: skip


class WarmProcess:
    """What tests use of a `subprocess.Popen`, for a process that was forked.

    Args:
        command: `gunicorn`, `celery` or `medianest`, with its arguments.
        env: its whole environment.
        cwd: its folder.
        log: takes what it says.
        errors: takes what it says on its standard error; the log, if nothing is given.
    """

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path, errors: Path | None = None
    ) -> None:
        log.touch()  # there to be read as soon as this returns
        self._process: ForkServerProcess = _server().Process(
            target=_become, args=(command, dict(env), cwd, log, errors or log), daemon=True
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid
        with suppress(ProcessLookupError):  # it has ended already, and nobody has to wait for it
            while self.poll() is None and os.getpgid(self.pid) != self.pid:
                self._process.join(0.002)  # it leads its session in a moment

    @property
    def returncode(self) -> int | None:
        """As of the last look."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The exit status, negative where a signal ended it; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def medianest(words: Sequence[str], env: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of ours to its end, in a minute at most; nobody types anything.

    Args:
        words: of the command line, behind `medianest`.
        env: its whole environment.
        cwd: its folder.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        code = WarmProcess(["medianest", *words], env, cwd, out, err).wait(60)
        return subprocess.CompletedProcess(words, code, out.read_text(), err.read_text())


@cache
def _server() -> ForkServerContext:
    """The process to fork from; made by the first who asks."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([f"{__name__}_imports"])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{ROOT}:{ROOT / 'tests'}:{before or ''}"
    try:
        forkserver.ensure_running()
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before
    return context


def import_all() -> None:
    """Import what web processes, workers and commands import, but for what reads the environment."""
    os.environ["REMAP_SIGTERM"] = "SIGQUIT"  # Celery reads it when it is imported
    for name in _MORE:
        importlib.import_module(name)
    for package in _PACKAGES:
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            if module.name not in _READ_THE_ENVIRONMENT and ".migrations" not in module.name:
                importlib.import_module(module.name)


def _become(command: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path, errors: Path) -> None:
    os.setsid()
    # The fork server ends with the tests, however these end, once no child of it holds this; and we end with it.
    os.close(forkserver._forkserver._forkserver_alive_fd)
    end_with_parent(os.getppid(), signal.SIGKILL)
    with log.open("ab") as out, errors.open("ab") as err, Path(os.devnull).open("rb") as nothing:
        for source, target in ((nothing, 0), (out, 1), (err, 2)):
            os.dup2(source.fileno(), target)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = list(command)
    module, function = ENTRIES[command[0]]
    try:
        sys.exit(getattr(importlib.import_module(module), function)())
    finally:  # also in what this process forks: nobody else runs them in a child of multiprocessing
        atexit._run_exitfuncs()
