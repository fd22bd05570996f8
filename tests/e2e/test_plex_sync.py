"""Syncs by real workers: pushed changes, workers that are killed, a Redis that forgets, a server that hangs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from stack import Client, Stack, eventually, running
from syncing import assert_in_step

from config.redis import make_redis
from config.settings import Settings
from engine.runtime import Runtime
from tests.fakes.plex_server import PlexDouble, populate


class Installed:
    """An installation beside a Plex server."""

    def __init__(self, stack: Stack, plex: PlexDouble, runtime: Runtime) -> None:
        self.stack, self.plex, self.runtime = stack, plex, runtime
        self.admin: Client = stack.bootstrap()

    def sync(self, *, full: bool = False) -> str:
        answer = self.admin.call("POST", "/plex/syncs", json={"full": full})
        assert answer.status_code in {200, 202}, answer.text
        return str(answer.json()["data"]["id"])

    def get(self, sync_id: str) -> dict[str, Any]:
        return dict(self.admin.call("GET", f"/plex/syncs/{sync_id}").json()["data"])

    def ended(self, sync_id: str, seconds: float = 30) -> dict[str, Any]:
        eventually(lambda: self.get(sync_id)["finishedAt"], seconds, what=f"{sync_id} ends")
        return self.get(sync_id)

    def in_step(self) -> bool:
        try:
            assert_in_step(self.runtime, self.plex.library)
        except AssertionError:
            return False
        return True


@pytest.fixture
def installed(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Installed]:
    with PlexDouble() as plex:
        populate(plex.library, films=80, shows=2, episodes_per_show=20)
        env = {"PLEX_URL": plex.url, "PLEX_TOKEN": plex.token, "POISON_CRASHES": "9"}
        stack = Stack(tmp_path, database_url, redis_url, **env)
        settings = Settings.load(stack.env)
        runtime = Runtime(settings, make_redis(settings), lambda job: None)
        with running(stack):
            stack.start_web()
            yield Installed(stack, plex, runtime)
        runtime.database.close()
        runtime.redis.close()


def test_first_sync_by_itself_then_changes_within_seconds_with_two_workers(installed: Installed) -> None:
    installed.stack.start_maintenance()
    installed.stack.start_worker("second", "plex,webhooks,notifications,maintenance")
    eventually(installed.in_step, 30, what="the listener's first sync")
    library = installed.plex.library
    film = library.add_film(1, "Heat", 1995)
    eventually(installed.in_step, 15, what="an addition")
    library.change(film, summary="Words.")
    eventually(installed.in_step, 15, what="a change")
    library.remove(film)
    eventually(installed.in_step, 15, what="a removal")
    assert installed.plex.notifications.count == 1
    runs = installed.admin.call("GET", "/plex/syncs").json()["data"]["items"]
    assert {run["trigger"] for run in runs} == {"push"}
    assert len(runs) <= 4


STAGES = [
    ("/identity", {}),
    ("/library/sections", {}),
    ("/library/sections/1/all", {}),
    ("/library/sections/1/collections", {}),
    ("/library/sections/2/all", {"type": "4"}),
]


@pytest.mark.long
@pytest.mark.parametrize(("path", "query"), STAGES, ids=[f"{path}{query}" for path, query in STAGES])
def test_worker_killed_at_any_stage(installed: Installed, path: str, query: dict[str, str]) -> None:
    stack, plex = installed.stack, installed.plex
    hang = plex.faults.add("hang", path=path, query=query, times=1)
    stack.start_maintenance()
    beat = stack.start_beat()
    hang.wait_met(30)
    run = installed.sync()
    stack.kill_group("worker")
    plex.faults.clear()
    plex.forget()
    stack.start_worker("after", "plex,webhooks,notifications,maintenance")
    report = installed.ended(run, 60)
    assert report["status"] == "completed"
    assert installed.in_step()
    if "2/all" in path:
        # It went on where it stopped: had it looked at the first library again, nothing would be new there.
        assert [line["created"] > 0 for line in report["sections"] if line["key"] == "1"] == [True]
    assert beat.poll() is None


def test_cancelled_while_the_server_hangs(installed: Installed) -> None:
    hang = installed.plex.faults.add("hang", path="/library/sections/1/all")
    installed.stack.start_maintenance()
    hang.wait_met(30)
    run = installed.sync()
    began = time.monotonic()
    assert installed.admin.call("DELETE", f"/plex/syncs/{run}").status_code == 200
    assert installed.ended(run)["status"] == "cancelled"
    assert time.monotonic() - began < 3


def test_redis_that_forgets_everything(installed: Installed) -> None:
    hang = installed.plex.faults.add("hang", path="/library/sections/1/all", times=1)
    installed.stack.start_maintenance()
    installed.stack.start_beat()
    hang.wait_met(30)
    first = installed.sync()
    follower = installed.sync(full=True)
    with redis.from_url(installed.stack.redis_url) as client:
        client.flushall()
    installed.plex.faults.clear()
    assert installed.ended(first)["status"] == "completed"
    assert installed.ended(follower, 60)["status"] == "completed"
    assert installed.in_step()


def test_shutdown_is_not_held_up_by_a_server_that_hangs(installed: Installed) -> None:
    hang = installed.plex.faults.add("hang", path="/library/sections/1/all")
    worker = installed.stack.start_maintenance()
    hang.wait_met(30)
    began = time.monotonic()
    worker.terminate()
    worker.wait(10)
    assert time.monotonic() - began < 8
