"""One user's wishes keep nobody else waiting: previews of slow pages, and downloads that drip."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from fakes.video_site import VideoSite
from stack import PASSWORD, Client, Stack, eventually, running

from cli.embedded import EmbeddedRedis

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def site() -> Iterator[VideoSite]:
    with VideoSite() as served:
        yield served


@pytest.fixture(scope="module")
def stack(
    short_tmp: Path, module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    with EmbeddedRedis(short_tmp / "shares").running() as redis_url:
        built = Stack(
            tmp_path_factory.mktemp("stack"), module_database_url, redis_url, DOWNLOAD_TURN_SECONDS="3"
        )
        with running(built):
            built.start_web()
            built.start_worker(concurrency=5)
            built.start_maintenance()
            built.start_beat()
            yield built


@pytest.fixture(scope="module")
def ann(stack: Stack) -> Client:
    return stack.bootstrap()


@pytest.fixture(scope="module")
def bob(stack: Stack, ann: Client) -> Client:
    body = {"email": "bob@example.com", "name": "Bob", "password": PASSWORD, "role": "user"}
    assert ann.call("POST", "/admin/users", json=body).status_code == 201
    login = {"email": body["email"], "password": PASSWORD}
    answer = requests.post(f"{stack.url}/api/v1/auth/login", json=login, timeout=20)
    return Client(stack.url, answer.json()["data"]["token"])


def look(client: Client, url: str) -> int:
    headers = {"Authorization": f"Bearer {client.token}"}
    address = f"{client.url}/api/v1/youtube/metadata"
    return requests.get(address, params={"url": url}, headers=headers, timeout=60).status_code


def test_one_users_previews_of_slow_pages_are_theirs_alone(
    stack: Stack, ann: Client, bob: Client, site: VideoSite
) -> None:
    held = site.gate("page")
    with ThreadPoolExecutor(12) as pool:
        looks = [pool.submit(look, ann, f"{site.url}/page/slow{n}?gate=page") for n in range(12)]
        held.wait_held(30)
        assert look(bob, f"{site.url}/page/quick") == 200
        made = bob.download(f"{site.url}/direct/meanwhile.mp4?size=300000")
        assert bob.wait(made["id"], "completed", "failed", seconds=60)["status"] == "completed"
        held.release()
        codes = [each.result() for each in looks]
    assert codes.count(429) >= 8, codes
    assert stack.query("SELECT count(*) FROM previews WHERE status = 'running'") == [(0,)]


@pytest.mark.parametrize("rate", [10_000, 80_000], ids=["drips", "fast enough"])
def test_nobody_waits_for_a_first_place(
    stack: Stack, ann: Client, bob: Client, site: VideoSite, rate: int
) -> None:
    names = [f"anns{rate}-{number}" for number in range(3)]
    paths = [f"/direct/{name}.mp4?size={rate * 40}&rate={rate}" for name in names]
    mine = [ann.download(site.url + path)["id"] for path in paths]

    def all_run() -> bool:
        return all(ann.get(row_id)["downloadedBytes"] for row_id in mine)

    eventually(all_run, 60, what="all places are taken")
    theirs = bob.download(f"{site.url}/direct/bobs{rate}.mp4?size=200000&gate=bob{rate}&skip=1")["id"]
    site.gate(f"bob{rate}").wait_held(35)
    waiting = [row for row in map(ann.get, mine) if row["status"] == "queued"]
    assert [row["waitingFor"]["kind"] for row in waiting] == ["yielded"]
    assert {row["attempt"] for row in map(ann.get, mine)} <= {0, 1}, "not counted"
    site.gate(f"bob{rate}").release()
    assert bob.wait(theirs, "completed", "failed", seconds=60)["status"] == "completed"
    for row_id, path in zip(mine, paths, strict=True):
        row = ann.wait(row_id, "completed", "failed", seconds=120)
        assert row["status"] == "completed", row["error"]
        assert (stack.downloads / row["file"]["path"]).read_bytes() == site.body(path)
