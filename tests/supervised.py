"""`medianest up` as tests start it: with a Procfile of their own, in a folder of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psutil
from stack import ROOT, free_port

from cli.embedded.holders import holders
from cli.processes import wait_until
from cli.supervision.leftovers import MARK

WEB = """
import json, os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        services = dict.fromkeys(("database", "redis", "workers"), "online")
        self.wfile.write(json.dumps({"data": {"services": services}}).encode())
    def log_message(self, *args):
        pass

print("database:", os.environ["DATABASE_URL"], "redis:", os.environ["REDIS_URL"])
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Health).serve_forever()
"""
PROCFILE = """\
# a comment
release: echo released "$GREETING"
web: python {folder}/web.py
worker: sh -c 'setsid sleep 300 & sleep 300'
"""
ELSEWHERE = {"DATABASE_URL": "postgresql://db.invalid/medianest", "REDIS_URL": "redis://redis.invalid"}


class Up:
    """One `medianest up` with its data folder and its port."""

    def __init__(self, folder: Path, procfile: str = PROCFILE) -> None:
        self.folder = folder
        (folder / "web.py").write_text(WEB)
        (folder / "Procfile").write_text(procfile.format(folder=folder))
        self.log = folder / "up.log"
        self.port = free_port()
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, *, ready: bool = True, **variables: str) -> subprocess.Popen[bytes]:
        hidden = ("DATABASE_URL", "REDIS_URL")
        env = {key: value for key, value in os.environ.items() if key not in hidden}
        env |= {
            "DATA_DIR": str(self.folder / "data"),
            "PORT": str(self.port),
            "GREETING": "hello",
        } | variables
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", "up", "--procfile", str(self.folder / "Procfile")],
                cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.started.append(process)
        if ready:
            assert wait_until(lambda: "To stop:" in self.said() or process.poll() is not None, 30)
            assert process.poll() is None, self.said()
        return process

    def said(self) -> str:
        return self.log.read_text()

    def running(self, program: str = "") -> list[psutil.Process]:
        """Living processes that carry this data folder's mark."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == str(self.folder / "data") and program in " ".join(
                    process.cmdline()
                ):
                    found.append(process)
        return found

    def servers(self) -> list[psutil.Process]:
        """Living processes of the embedded servers, by the folder they work in."""
        return list(holders(self.folder / "data"))

    def clean(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()
        for left in [*self.running(), *self.servers()]:
            with suppress(psutil.Error):
                left.kill()


U = TypeVar("U", bound=Up)


@contextmanager
def maker_of_ups(kind: type[U]) -> Iterator[Callable[..., U]]:
    """A function that makes one of a Procfile; what they leave ends with the block."""
    made: list[U] = []
    with tempfile.TemporaryDirectory(prefix="medianest-test-") as name:
        Path(name).chmod(0o755)  # PostgreSQL runs as another user under root

        def make(procfile: str = PROCFILE) -> U:
            made.append(kind(Path(name), procfile))
            return made[-1]

        yield make
        for up in made:
            up.clean()
