"""Downloads outlive whatever dies around them: real processes, real kills, every file compared to its source."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from fakes.video_site import VideoSite
from stack import Client, Stack, eventually, running

from cli.embedded import EmbeddedRedis

SIZE = 3_000_000


pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def site() -> Iterator[VideoSite]:
    with VideoSite() as served:
        yield served


@pytest.fixture(scope="module")
def redis_server(short_tmp: Path) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(short_tmp / "faults")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def stack(
    redis_server: EmbeddedRedis, module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    built = Stack(tmp_path_factory.mktemp("stack"), module_database_url, redis_server.url, LOG_LEVEL="debug")
    with running(built):
        built.start_web()
        built.start_maintenance()
        built.start_beat()
        built.start_worker("one")
        yield built


@pytest.fixture(scope="module")
def client(stack: Stack) -> Client:
    return stack.bootstrap()


@pytest.fixture(autouse=True)
def _worker(stack: Stack) -> None:
    """Whatever a test did to it: there is a worker again for the next."""
    if "one" not in stack.processes or stack.processes["one"].poll() is not None:
        stack.start_worker("one")


def begin(client: Client, site: VideoSite, name: str, after: int = 1_000_000) -> tuple[str, str]:
    """Start a download that holds at a gate; returns its id and the path of its media."""
    path = f"/direct/{name}.mp4?size={SIZE}&gate={name}&after={after}&skip=1"
    row = client.download(site.url + path, downloadPath=name)
    site.gate(name).wait_held(20)
    eventually(lambda: client.get(row["id"])["downloadedBytes"], what="bytes are on the disk")
    return row["id"], path


def assert_published(stack: Stack, site: VideoSite, row: dict[str, object], path: str) -> None:
    """The one file in the download's folder is what the site serves, to the last byte."""
    file = row["file"]
    assert isinstance(file, dict)
    target = stack.downloads / file["path"]
    assert target.read_bytes() == site.body(path)
    assert [p.name for p in target.parent.iterdir()] == [target.name]
    assert not list((stack.downloads / ".medianest").iterdir())
    eventually(lambda: not (stack.folder / "work" / str(row["id"])).exists(), what="work folder removed")


def test_a_killed_worker_group_costs_nothing_but_time(stack: Stack, client: Client, site: VideoSite) -> None:
    download_id, path = begin(client, site, "groupkill")
    stack.kill_group("one")
    stack.start_worker("one")
    site.release("groupkill")
    row = client.wait(download_id, "completed")
    assert row["attempt"] == 2
    assert_published(stack, site, row, path)
    ranges = [request.range for request in site.requests if "groupkill" in request.path and request.range]
    assert any(not value.startswith("bytes=0-") for value in ranges), "went on at the byte"


def test_a_killed_pool_child_takes_its_attempt_along(stack: Stack, client: Client, site: VideoSite) -> None:
    download_id, path = begin(client, site, "childkill")
    attempt = stack.attempt_process(download_id)
    assert attempt is not None
    attempt.parent().kill()  # type: ignore[union-attr]
    eventually(lambda: not attempt.is_running() or attempt.status() == "zombie", 5, what="attempt ended")
    site.release("childkill")
    row = client.wait(download_id, "completed")
    assert row["attempt"] == 2
    assert_published(stack, site, row, path)


def test_redis_killed_and_emptied(
    stack: Stack, client: Client, site: VideoSite, redis_server: EmbeddedRedis
) -> None:
    download_id, path = begin(client, site, "redis")
    process = redis_server._process
    assert process is not None
    process.kill()
    process.wait()
    later = client.download(f"{site.url}/direct/meanwhile.mp4?size={SIZE}", downloadPath="meanwhile")
    assert later["status"] == "queued"
    for file in redis_server.data_dir.rglob("*.aof"):
        file.unlink()
    redis_server.start()
    site.release("redis")
    assert_published(stack, site, client.wait(download_id, "completed"), path)
    row = client.wait(later["id"], "completed", seconds=40)
    assert_published(stack, site, row, f"/direct/meanwhile.mp4?size={SIZE}")


def test_a_worker_that_slept_through_its_lease_can_do_no_harm(
    stack: Stack, client: Client, site: VideoSite
) -> None:
    download_id, path = begin(client, site, "frozen")
    sleeper = stack.attempt_process(download_id)
    family = [psutil.Process(stack.processes["one"].pid), *stack.pool_children("one")]
    assert sleeper is not None
    for process in (*family, sleeper):
        process.send_signal(signal.SIGSTOP)
    try:
        stack.start_worker("two")
        eventually(lambda: client.get(download_id)["attempt"] == 2, what="a successor claims it")
        eventually(lambda: site.gate("frozen").held >= 2, what="the successor stands at the gate")
        if sleeper.is_running():  # thawed beside its successor, while nobody watches it
            sleeper.send_signal(signal.SIGCONT)
        site.release("frozen")
        client.wait(download_id, "completed")
    finally:
        for process in family:
            process.send_signal(signal.SIGCONT)
    eventually(lambda: "job.fenced" in stack.log("one"), what="the sleeper is told to stop")
    row = client.wait(download_id, "completed")
    assert_published(stack, site, row, path)
    assert stack.query("SELECT attempt, epoch, crash_count FROM downloads WHERE id = %s", download_id) == [
        (2, 2, 1)
    ]
    stack.kill_group("two")


def test_an_api_that_dies_between_commit_and_bell(stack: Stack, client: Client, site: VideoSite) -> None:
    path = f"/direct/unrung.mp4?size={SIZE}"
    port = stack.port
    stack.kill_group("web")
    stack.start("web", "gunicorn", "--config", "python:api.gunicorn", "fakes.dying_web:app")
    eventually(stack._answers)
    with pytest.raises(requests.RequestException):
        client.download(site.url + path, downloadPath="unrung")
    stack.kill_group("web")
    stack.start_web()
    assert stack.port == port
    ((download_id,),) = stack.query("SELECT id FROM downloads WHERE folder = 'unrung'")
    assert_published(stack, site, client.wait(download_id, "completed"), path)


def test_a_job_that_kills_its_worker_is_given_up_and_hurts_nobody_else(
    stack: Stack, client: Client, site: VideoSite
) -> None:
    stack.kill_group("one")
    stack.start_worker("poisoned", app="fakes.poisoned_worker")
    bad = client.download(f"{site.url}/direct/poison.mp4")
    good = client.download(f"{site.url}/direct/beside.mp4?size={SIZE}", downloadPath="beside")
    row = client.wait(bad["id"], "failed", seconds=30)
    assert row["error"]["kind"] == "poison"
    row = client.wait(good["id"], "completed")
    assert_published(stack, site, row, f"/direct/beside.mp4?size={SIZE}")
    stack.kill_group("poisoned")


def test_two_beats_make_one_run_a_slot(stack: Stack) -> None:
    stack.kill_group("beat")
    for name in ("beat", "second"):
        stack.start_beat(name, LOG_LEVEL="debug")
    start = stack.query("SELECT clock_timestamp()")[0][0]

    def slots() -> int:
        return int(stack.query("SELECT count(*) FROM schedule_slots WHERE slot > %s", start)[0][0])

    before = stack.log("worker").count("reconcile.done")
    first = slots()
    eventually(lambda: slots() >= first + 4, 15, what="slots are taken")
    sent = stack.log("second").count("beat.sent") + stack.log("beat").count("beat.sent")
    stack.kill_group("second")
    seconds = stack.query("SELECT extract(epoch FROM clock_timestamp() - %s)", start)[0][0]
    ran = stack.log("worker").count("reconcile.done") - before
    assert sent > ran
    assert ran <= float(seconds) + 2


def test_a_worker_leaves_within_eight_seconds_and_loses_nothing(
    stack: Stack, client: Client, site: VideoSite
) -> None:
    download_id, path = begin(client, site, "sigterm")
    worker = stack.processes["one"]
    began = time.monotonic()
    worker.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(0)
    worker.wait(8)
    took = time.monotonic() - began
    row = client.get(download_id)
    assert row["status"] == "queued", f"after {took:.1f} s"
    assert row["attempt"] == 0
    stack.processes.pop("one")
    stack.start_worker("one")
    site.release("sigterm")
    row = client.wait(download_id, "completed")
    assert row["attempt"] == 1
    assert_published(stack, site, row, path)
