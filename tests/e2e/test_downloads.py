"""A URL becomes a file: the whole way over HTTP, workers, a video site, the disk and a WebSocket."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import websocket
from fakes.video_site import VideoSite
from stack import Client, Stack, eventually, running

from cli.embedded import EmbeddedRedis

SIZE = 2_000_000


@pytest.fixture(scope="module")
def site() -> Iterator[VideoSite]:
    with VideoSite() as served:
        yield served


@pytest.fixture(scope="module")
def stack(
    short_tmp: Path, module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    with EmbeddedRedis(short_tmp / "e2e").running() as redis_url:
        built = Stack(
            tmp_path_factory.mktemp("stack"), module_database_url, redis_url, DOWNLOAD_THROTTLE_SECONDS="3"
        )
        with running(built):
            built.start_all()
            yield built


@pytest.fixture(scope="module")
def client(stack: Stack) -> Client:
    return stack.bootstrap()


@contextmanager
def follow(stack: Stack, client: Client) -> Iterator[websocket.WebSocket]:
    """An open socket whose snapshot has arrived."""
    url = stack.url.replace("http", "ws") + "/ws/media"
    header = [f"Authorization: Bearer {client.token}"]
    with closing(websocket.create_connection(url, timeout=20, header=header)) as socket:
        assert json.loads(socket.recv())["event"] == "snapshot"
        yield socket


def frames_until_end(socket: websocket.WebSocket, download_id: str) -> list[dict[str, Any]]:
    """All frames about a download, its last one included."""
    found = []
    while True:
        frame = json.loads(socket.recv())
        if frame["event"] == "snapshot" or frame["data"].get("id") != download_id:
            continue
        found.append(frame)
        if frame["event"] in {"download:completed", "download:failed", "download:cancelled"}:
            return found


def test_a_file_arrives_and_its_progress_is_live(stack: Stack, client: Client, site: VideoSite) -> None:
    path = f"/direct/first.mp4?size={SIZE}&rate=1500000"
    with follow(stack, client) as socket:
        answer = client.call(
            "POST", "/youtube/download", json={"url": site.url + path, "downloadPath": "a/b"}
        )
        assert answer.status_code == 202
        row = answer.json()["data"]
        assert row["status"] == "queued"
        assert answer.headers["Location"].endswith(f"/api/v1/youtube/downloads/{row['id']}")
        frames = frames_until_end(socket, row["id"])
    progress = [frame["data"]["progress"] for frame in frames]
    assert progress == sorted(progress), "never backwards"
    assert any(0 < value < 100 for value in progress)
    assert progress[-1] == 100
    moving = [frame["data"] for frame in frames if frame["data"]["speed"]]
    assert moving, "speed is told"
    assert moving[0]["speed"].endswith("B/s")
    assert all(frame["at"].endswith("Z") for frame in frames)

    done = client.get(row["id"])
    assert done["status"] == "completed"
    assert done["title"] == "first"
    assert done["file"]["path"] == "a/b/first [first].mp4"
    assert (done["file"]["container"], done["file"]["size"], done["file"]["height"]) == ("mp4", SIZE, 144)
    assert (stack.downloads / done["file"]["path"]).read_bytes() == site.body(path)


@pytest.mark.parametrize(
    ("path", "choices", "container", "height"),
    [
        ("/page/embedded", {}, "mp4", 144),
        ("/hls/stream/master.m3u8", {"quality": "240p"}, "mp4", 240),
        ("/dash/apart/manifest.mpd", {"format": "mkv"}, "mkv", 360),
        ("/dash/sound/manifest.mpd", {"format": "mp3"}, "mp3", None),
        ("/direct/remux.mp4", {"quality": "audio"}, "m4a", None),
    ],
)
def test_sources_and_formats(
    client: Client,
    stack: Stack,
    site: VideoSite,
    path: str,
    choices: dict[str, str],
    container: str,
    height: int | None,
) -> None:
    row = client.download(site.url + path, **choices)
    done = client.wait(row["id"], "completed", "failed")
    assert done["error"] is None
    assert (done["file"]["container"], done["file"]["height"]) == (container, height)
    assert done["file"]["duration"] == pytest.approx(4, abs=0.3)
    assert (stack.downloads / done["file"]["path"]).stat().st_size == done["file"]["size"]


def test_the_same_title_twice_gets_a_number(client: Client, site: VideoSite) -> None:
    first = client.download(f"{site.url}/page/twin", downloadPath="twins")
    second = client.download(f"{site.url}/page/twin", downloadPath="twins", quality="360p")
    paths = {client.wait(row["id"], "completed")["file"]["path"] for row in (first, second)}
    assert paths == {"twins/The twin film [twin].mp4", "twins/The twin film [twin] (2).mp4"}


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/pages/two", "playlist"), ("/text/none", "unsupported"), ("/direct/x.mp4?status=404", "not_found")],
)
def test_what_can_not_be_fetched_fails_in_words(
    client: Client, site: VideoSite, path: str, kind: str
) -> None:
    row = client.wait(client.download(site.url + path)["id"], "failed")
    assert row["error"]["kind"] == kind
    assert row["error"]["message"]
    assert row["error"]["advice"]
    assert row["error"]["retryable"] is False


def test_a_passing_fault_is_tried_again_and_passes(client: Client, stack: Stack, site: VideoSite) -> None:
    path = f"/direct/flaky.mp4?size={SIZE}&cut=700000&times=3&skip=1"
    row = client.wait(client.download(site.url + path)["id"], "completed", "failed", seconds=40)
    assert row["status"] == "completed"
    assert (stack.downloads / row["file"]["path"]).read_bytes() == site.body(path)


def test_a_site_that_has_enough_gets_a_rest_and_all_goes_on_by_itself(
    client: Client, stack: Stack, site: VideoSite
) -> None:
    asking_too_often = f"/direct/limited.mp4?size={SIZE}&status=429&times=1"
    limited = client.download(site.url + asking_too_often)
    eventually(
        lambda: (client.get(limited["id"])["waitingFor"] or {}).get("kind") == "host", what="it waits visibly"
    )
    beside = client.download(f"{site.url}/direct/beside.mp4?size={SIZE}")
    row = client.get(beside["id"])
    assert row["status"] == "queued"
    assert row["waitingFor"]["kind"] == "host"
    (downloads, *_) = client.call("GET", "/admin/queues").json()["data"]["queues"]
    assert [host["host"] for host in downloads["throttledHosts"]] == ["127.0.0.1"]
    done = client.wait(limited["id"], "completed")
    assert done["attempt"] == 2
    assert (stack.downloads / done["file"]["path"]).read_bytes() == site.body(asking_too_often)
    client.wait(beside["id"], "completed")


def test_a_paused_queue_holds_what_comes_and_lets_it_go(client: Client, site: VideoSite) -> None:
    assert client.call("POST", "/admin/queues/downloads/pause").status_code == 200
    row = client.download(f"{site.url}/direct/held.mp4?size={SIZE}")
    look = client.call("GET", "/youtube/metadata", params={"url": f"{site.url}/page/meanwhile"})
    assert look.status_code == 200, "another queue goes on"
    assert client.get(row["id"])["waitingFor"]["kind"] == "paused"
    assert client.call("POST", "/admin/queues/downloads/resume").status_code == 200
    client.wait(row["id"], "completed")


def test_a_running_download_is_cancelled_without_a_trace(
    client: Client, stack: Stack, site: VideoSite
) -> None:
    path = f"/direct/cancelled.mp4?size={SIZE}&gate=cancelled&after=500000&skip=1"
    row = client.download(site.url + path, downloadPath="cancelled")
    site.gate("cancelled").wait_held(20)
    eventually(lambda: client.get(row["id"])["downloadedBytes"])
    attempt = stack.attempt_process(row["id"])
    assert attempt is not None
    with follow(stack, client) as socket:
        began = time.monotonic()
        answer = client.call("DELETE", f"/youtube/downloads/{row['id']}")
        assert answer.status_code == 200
        assert answer.json()["data"]["cancelRequested"] is True
        frames = frames_until_end(socket, row["id"])
        took = time.monotonic() - began
    assert frames[-1]["event"] == "download:cancelled"
    assert took < 3
    assert client.get(row["id"])["status"] == "cancelled"
    assert stack.query("SELECT lease_until FROM downloads WHERE id = %s", row["id"]) == [(None,)]
    eventually(lambda: not attempt.is_running() or attempt.status() == "zombie", 3)
    assert not (stack.folder / "work" / row["id"]).exists()
    assert not (stack.downloads / "cancelled").exists()
    site.release("cancelled")

    removed = client.call("DELETE", f"/youtube/downloads/{row['id']}")
    assert removed.status_code == 200
    assert client.call("GET", f"/youtube/downloads/{row['id']}").status_code == 404


def test_a_cancelled_download_can_be_tried_again(client: Client, stack: Stack, site: VideoSite) -> None:
    path = f"/direct/again.mp4?size={SIZE}&gate=again&skip=1"
    row = client.download(site.url + path)
    site.gate("again").wait_held(20)
    client.call("DELETE", f"/youtube/downloads/{row['id']}")
    client.wait(row["id"], "cancelled")
    site.release("again")
    answer = client.call("POST", f"/youtube/downloads/{row['id']}/retry")
    assert answer.status_code == 202
    done = client.wait(row["id"], "completed")
    assert (stack.downloads / done["file"]["path"]).read_bytes() == site.body(path)


def test_a_removed_download_takes_its_file_along_when_asked(
    client: Client, stack: Stack, site: VideoSite
) -> None:
    kept = client.wait(client.download(f"{site.url}/direct/kept.mp4")["id"], "completed")
    gone = client.wait(client.download(f"{site.url}/direct/gone.mp4")["id"], "completed")
    assert client.call("DELETE", f"/youtube/downloads/{kept['id']}").status_code == 200
    answer = client.call("DELETE", f"/youtube/downloads/{gone['id']}?deleteFile=true")
    assert answer.json()["data"]["file"]["path"] == gone["file"]["path"]
    eventually(lambda: not (stack.downloads / gone["file"]["path"]).exists(), what="the file is removed")
    assert (stack.downloads / kept["file"]["path"]).exists()


def test_a_look_before_asking(client: Client, site: VideoSite) -> None:
    answer = client.call("GET", "/youtube/metadata", params={"url": f"{site.url}/page/preview"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["title"] == "The preview film"
    again = client.call("GET", "/youtube/metadata", params={"url": f"{site.url}/page/preview"})
    assert again.json() == answer.json()
    assert len(site.asked("/page/preview")) == 1, "the second answer is the first one"
    assert client.call("GET", "/youtube/metadata", params={"url": f"{site.url}/pages/two"}).status_code == 400
    assert client.call("GET", "/youtube/metadata", params={"url": "https://evil.example/"}).status_code == 400
