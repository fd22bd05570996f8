"""A whole installation of real processes for a test: web, workers, beats, over a database and a Redis of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import requests

from tests.warm import ENTRIES, WarmProcess

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PASSWORD = "correct horse battery"


def eventually(check: Callable[[], Any], seconds: float = 60.0, *, what: str = "") -> Any:
    """Ask again and again until the answer is true; fails with the last answer after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or check}; last answer {answer!r}")
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stack:
    """Starts processes of ours and ends them; `env` overrides settings of all.

    Attributes:
        warm: they are forked from a process that has made their imports; False where it matters that they are started
            as everywhere.
    """

    warm = True

    def __init__(self, folder: Path, database_url: str, redis_url: str, **env: str) -> None:
        self.folder = folder
        self.downloads = folder / "downloads"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database_url = database_url
        self.redis_url = redis_url
        self.processes: dict[str, subprocess.Popen[bytes] | WarmProcess] = {}
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("DOWNLOAD_", "LEASE_", "PYTEST_"))},
            "APP_ENV": "development",
            "DATA_DIR": str(folder),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "SECRET_KEY": "s" * 48,
            "PORT": str(self.port),
            "HOST": "127.0.0.1",
            "WEB_CONCURRENCY": "1",
            "DOWNLOAD_ALLOWED_HOSTS": "127.0.0.1",
            "DOWNLOAD_ALLOW_PRIVATE_NETWORKS": "true",
            "DOWNLOAD_RETRY_SECONDS": "0.2",
            "DOWNLOAD_HOST_LIMIT": "16",
            "LEASE_SECONDS": "3",
            "LEASE_RENEW_SECONDS": "1",
            "RECONCILE_SECONDS": "1",
            "LOG_LEVEL": "info",
            "RATE_LIMIT_ENABLED": "false",
            "REMAP_SIGTERM": "SIGQUIT",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{os.environ.get('PYTHONPATH', '')}",
            **env,
        }

    def start(self, name: str, *command: str, **env: str) -> subprocess.Popen[bytes] | WarmProcess:
        if self.warm and command[0] in ENTRIES:
            log_file = self.folder / f"{name}.log"
            self.processes[name] = WarmProcess(command, {**self.env, **env}, self.folder, log_file)
            return self.processes[name]
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(BIN / command[0]), *command[1:]],
                env={**self.env, **env},
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes[name] = process
        return process

    def start_web(self, name: str = "web") -> None:
        self.start(name, "gunicorn", "--config", "python:api.gunicorn", "api.wsgi:app")
        eventually(self._answers, what="web answers")

    def start_worker(
        self,
        name: str = "downloads",
        queues: str = "downloads,media",
        concurrency: int = 3,
        app: str = "tasks.app",
    ) -> subprocess.Popen[bytes] | WarmProcess:
        process = self.start(
            name, "celery", "-A", app, "worker", "-n", f"{name}@%h", "-Q", queues, "-c", str(concurrency),
            "--without-gossip", "--without-mingle",
        )  # fmt: skip
        eventually(lambda: "worker.ready" in self.log(name), what=f"{name} ready")
        return process

    def start_maintenance(self) -> subprocess.Popen[bytes] | WarmProcess:
        return self.start_worker("worker", "plex,webhooks,notifications,requests,maintenance")

    def start_beat(self, name: str = "beat", **env: str) -> subprocess.Popen[bytes] | WarmProcess:
        schedule = str(self.folder / f"{name}-schedule")
        return self.start(name, "celery", "-A", "schedules.beat", "beat", "-s", schedule, **env)

    def start_all(self) -> None:
        self.start_web()
        self.start_worker()
        self.start_maintenance()
        self.start_beat()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def pool_children(self, name: str) -> list[psutil.Process]:
        return psutil.Process(self.processes[name].pid).children()

    def attempt_process(self, download_id: str) -> psutil.Process | None:
        owner = self.query("SELECT lease_owner FROM downloads WHERE id = %s", download_id)[0][0] or {}
        attempt = owner.get("attempt")
        if attempt is None or not psutil.pid_exists(attempt["pid"]):
            return None
        return psutil.Process(attempt["pid"])

    def signal_group(self, name: str, number: signal.Signals) -> None:
        os.killpg(self.processes[name].pid, number)

    def kill_group(self, name: str) -> None:
        """Kill a process with its whole session, attempts included."""
        main = self.processes.pop(name)
        main.send_signal(signal.SIGSTOP)  # or it would replace its children while they are being killed
        family = [main.pid, *(child.pid for child in psutil.Process(main.pid).children(recursive=True))]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):  # a child that was being forked while we looked
            os.killpg(main.pid, signal.SIGKILL)
        main.wait()

    def stop(self) -> None:
        for name in list(self.processes):
            if self.processes[name].poll() is None:
                with contextlib.suppress(psutil.NoSuchProcess):
                    self.kill_group(name)

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url.replace("+psycopg", ""), autocommit=True) as connection:
            cursor = connection.execute(sql, values)
            return cursor.fetchall() if cursor.description else []

    def bootstrap(self) -> Client:
        body = {"email": "admin@example.com", "password": PASSWORD, "name": "Ann"}
        answer = requests.post(f"{self.url}/api/v1/auth/admin", json=body, timeout=40)
        assert answer.status_code == 201, answer.text
        return Client(self.url, answer.json()["data"]["token"])

    def _answers(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.url}/health", timeout=10).status_code == 200
        assert self.processes["web"].poll() is None, self.log("web")[-2000:]
        return False


class Client:
    """A signed-in user with the calls that tests make."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        return self.session.request(method, f"{self.url}/api/v1{path}", timeout=40, **kwargs)

    def download(self, url: str, **choices: str) -> dict[str, Any]:
        answer = self.call("POST", "/youtube/download", json={"url": url, **choices})
        assert answer.status_code in {200, 202}, answer.text
        return dict(answer.json()["data"])

    def get(self, download_id: str) -> dict[str, Any]:
        answer = self.call("GET", f"/youtube/downloads/{download_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["data"])

    def wait(self, download_id: str, *statuses: str, seconds: float = 60.0) -> dict[str, Any]:
        row: dict[str, Any] = {}

        def arrived() -> bool:
            row.update(self.get(download_id))
            return row["status"] in statuses

        eventually(arrived, seconds, what=f"{download_id} becomes {statuses}: {row}")
        return row


@contextlib.contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    try:
        yield stack
    finally:
        stack.stop()
