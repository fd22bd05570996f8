"""The whole installation under fault: PostgreSQL, Redis, API, two workers, two beats, site and watcher."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis
import requests

from cli.embedded import EmbeddedPostgres, EmbeddedRedis
from engine.events import CHANNEL_PATTERN
from models.migrate import upgrade
from tests.faults.measures import Measures, Rescues
from tests.faults.site import Site
from tests.stack import ROOT, Client, Stack, eventually

LEASE, RECONCILE = 3.0, 1.0
PATIENCE = 60.0  # seconds for anything to start on a busy machine

ENV = {
    "LEASE_SECONDS": str(LEASE),
    "LEASE_RENEW_SECONDS": "1",
    "SHORT_LEASE_SECONDS": "3",
    "SHORT_LEASE_RENEW_SECONDS": "1",
    "RECONCILE_SECONDS": str(RECONCILE),
    "ACCESS_TOKEN_SECONDS": "7200",
    "DOWNLOAD_RETRY_SECONDS": "0.3",
    "DOWNLOAD_RETRY_MAX_SECONDS": "3",
    "DOWNLOAD_THROTTLE_SECONDS": "1",
    "DOWNLOAD_ATTEMPTS": "20",
    # A battery kills each job more often than a year of bad luck would.
    "POISON_CRASHES": "20",
    "DOWNLOAD_STALL_SECONDS": "20",
    "DISK_RESERVE_BYTES": "0",
    "DISK_RESERVE_PERCENT": "0",
}


class Installation(Stack):
    """Everything that runs, by name, and what was observed of it."""

    warm = False  # started as everywhere, and known by their command lines

    def __init__(self, folder: Path, seed: int, scale: float) -> None:
        self.random = random.Random(seed)
        self.scale = scale
        self.measures = Measures()
        self.events: Counter[str] = Counter()
        self.postgres = EmbeddedPostgres(folder / "p")
        self.redis = EmbeddedRedis(folder / "r")
        self.site = Site()
        (folder / "data").mkdir()
        super().__init__(folder / "data", self.postgres.start(), self.redis.start(), **ENV)
        upgrade(self.database_url)
        self.downloads.mkdir()
        self.rescues = Rescues(self.rows, self.measures.rescues)
        self._watchers: dict[Path, subprocess.Popen[bytes]] = {}
        self.watch(self.downloads)
        self.client: Client
        self._again: dict[str, Callable[[], None]] = {}
        self._ended = threading.Event()
        threading.Thread(target=self._listen, daemon=True, name="events").start()

    # -- processes ---------------------------------------------------------------------------------------------

    def make_ready(self, app: str = "tasks.app", **env: str) -> None:
        """Whatever the last scenario left: each process of the installation runs."""
        self.ready_servers()
        if not self.runs("web"):
            self.start_web()
        if not hasattr(self, "client"):
            self.client = self.bootstrap()
        for name in ("beat", "second-beat"):
            if not self.runs(name):
                self.start_beat(name)
        if not self.runs("maintenance"):
            self.spawn_worker(
                "maintenance", queues="plex,webhooks,notifications,requests,maintenance", concurrency=2
            )
        for name in ("one", "two"):
            if not self.runs(name):
                self.spawn_worker(name, app=app, **env)
        self.wait_ready("maintenance", "one", "two")

    def ready_servers(self) -> None:
        """PostgreSQL and Redis run, thawed and with room."""
        for server in (self.postgres, self.redis):
            if server._process is None or server._process.poll() is not None:
                server.start()
            server._process.send_signal(signal.SIGCONT)
        redis.Redis.from_url(self.redis_url).config_set("maxmemory", 0)

    def runs(self, name: str) -> bool:
        return name in self.processes and self.processes[name].poll() is None

    def spawn_worker(
        self,
        name: str,
        queues: str = "downloads,media",
        concurrency: int = 3,
        app: str = "tasks.app",
        **env: str,
    ) -> None:
        """Start a worker and return at once; `supervise` starts it again like this."""
        again = {"queues": queues, "concurrency": concurrency, "app": app, **env}
        self._again[name] = lambda: self.spawn_worker(name, **again)
        self._forget_log(name)
        self.start(
            name, "celery", "-A", app, "worker", "-n", f"{name}@%h", "-Q", queues, "-c", str(concurrency),
            "--without-gossip", "--without-mingle", **env,
        )  # fmt: skip

    def supervise(self) -> None:
        """Do the part of a supervisor: start again each worker that has exited by itself."""
        for name, start in list(self._again.items()):
            process = self.processes.get(name)
            if process is not None and process.poll() is not None:
                self.measures.restarts[name] += 1
                start()

    def wait_ready(self, *names: str) -> None:
        for name in names:
            eventually(lambda name=name: "worker.ready" in self.log(name), PATIENCE, what=f"{name} is ready")

    def other_workers(self, app: str = "tasks.app", **env: str) -> None:
        """Replace both download workers."""
        for name in ("one", "two"):
            if self.runs(name):
                self.terminate(name)
            self.spawn_worker(name, app=app, **env)
        self.wait_ready("one", "two")

    def family(self, name: str) -> list[psutil.Process]:
        """A process with all it has started, itself first."""
        with contextlib.suppress(psutil.NoSuchProcess):
            main = psutil.Process(self.processes[name].pid)
            return [main, *main.children(recursive=True)]
        return []

    def kill_worker(self, name: str) -> None:
        """Kill a worker with its pool children and attempts, all at once."""
        lost = self.rescues.held_by([self.processes[name].pid])
        self.kill_group(name)
        self.rescues.lost(lost)

    def terminate(self, name: str, grace: float = 10.0) -> None:
        """SIGTERM, then SIGKILL after `grace`; the time it took is written down."""
        process = self.processes[name]
        began = time.monotonic()
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill_group(name)
        self.processes.pop(name, None)
        self.measures.exits.append(time.monotonic() - began)

    def stop(self) -> None:
        """End everything."""
        self._ended.set()
        self.rescues.stop()
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
        super().stop()
        for root in list(self._watchers):
            self.unwatch(root)
        self.site.stop()
        for server in (self.redis, self.postgres):
            if server._process is not None:
                server._process.send_signal(signal.SIGCONT)
            server.stop()

    def strays(self) -> list[str]:
        """Processes of the installation that nobody has started knowingly any more."""
        known = {process.pid for name in self.processes for process in self.family(name)}
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.pid in known or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                if process.environ().get("DATA_DIR") == str(self.folder):
                    found.append(f"{process.pid} {' '.join(process.cmdline())[:100]}")
        return found

    def _forget_log(self, name: str) -> None:
        """Keep the log of an earlier process of that name beside the new one."""
        log = self.folder / f"{name}.log"
        if log.exists():
            with log.open("rb") as old, (self.folder / f"{name}.before.log").open("ab") as kept:
                kept.write(old.read())
            log.unlink()

    # -- asking and looking ------------------------------------------------------------------------------------

    def ask(self, url: str, **choices: str) -> str:
        """Ask for a download until the answer is certain, as a careful client does; returns the id."""
        while True:
            with contextlib.suppress(requests.RequestException, AssertionError):
                return str(self.client.download(url, **choices)["id"])
            if made := self.rows("SELECT id FROM downloads WHERE url = %s", [url]):
                return str(made[0][0])
            time.sleep(0.3)

    def row(self, download_id: str, columns: str) -> tuple[Any, ...]:
        return self.rows(f"SELECT {columns} FROM downloads WHERE id = %s", [download_id])[0]

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Ask PostgreSQL, again and again while it is away."""
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                return self.query(sql, *values)
            time.sleep(0.2)

    def digest(self, path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def watch(self, root: Path) -> None:
        """Let a process of its own watch a download folder."""
        command = [sys.executable, "-m", "tests.faults.watcher", str(root), str(self._sights(root))]
        self._watchers[root] = subprocess.Popen(command, cwd=ROOT, start_new_session=True)

    def unwatch(self, root: Path) -> None:
        watcher = self._watchers.pop(root)
        watcher.terminate()
        watcher.wait(20)

    def _sights(self, root: Path) -> Path:
        return self.folder / f"sights-{root.name}.log"

    def sights(self, root: Path, folder: str) -> dict[str, list[tuple[str, str]]]:
        """What the watcher of `root` saw of each file in a folder, in order."""
        time.sleep(0.3)  # the watcher's round
        found: dict[str, list[tuple[str, str]]] = defaultdict(list)
        if self._sights(root).exists():
            for line in self._sights(root).read_text().splitlines():
                said = json.loads(line)
                if said["path"].startswith(f"{folder}/"):
                    found[said["path"]].append((said["kind"], said.get("sha256", str(said))))
        return found

    def _listen(self) -> None:
        """Count the completed events of each download; Redis may come and go."""
        while not self._ended.is_set():
            with contextlib.suppress(redis.RedisError, OSError):
                client = redis.Redis.from_url(self.redis_url, socket_timeout=None)
                subscription = client.pubsub(ignore_subscribe_messages=True)
                subscription.psubscribe(CHANNEL_PATTERN)
                while not self._ended.is_set():
                    message = subscription.get_message(timeout=1)
                    if message and b'"download:completed"' in message["data"]:
                        frame = json.loads(message["data"])["frame"]
                        self.events[frame["data"]["id"]] += 1
            time.sleep(0.2)
