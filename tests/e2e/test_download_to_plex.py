"""A URL becomes something that can be watched: workers, a video site, the disk, Plex, a socket and a notification."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from typing import Any

import pytest
import redis
import websocket
from fakes.plex_server import PlexDouble
from fakes.video_site import VideoSite
from stack import Client, Stack, eventually, running

from cli.embedded import EmbeddedRedis

SIZE = 300_000


@pytest.fixture(scope="module")
def site() -> Iterator[VideoSite]:
    with VideoSite() as served:
        yield served


@pytest.fixture(scope="module")
def plex() -> Iterator[PlexDouble]:
    with PlexDouble() as double:
        yield double


@pytest.fixture(scope="module")
def stack(
    short_tmp: Any,
    module_database_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    plex: PlexDouble,
) -> Iterator[Stack]:
    with EmbeddedRedis(short_tmp / "arrive").running() as redis_url:
        built = Stack(
            tmp_path_factory.mktemp("stack"),
            module_database_url,
            redis_url,
            PLEX_URL=plex.url,
            PLEX_TOKEN=plex.token,
            SHORT_LEASE_SECONDS="3",
            SHORT_LEASE_RENEW_SECONDS="1",
        )
        plex.library.add_section("movie", "Films", str(built.downloads / "films"))
        with running(built):
            built.start_all()
            yield built


@pytest.fixture(scope="module")
def client(stack: Stack) -> Client:
    return stack.bootstrap()


@contextmanager
def heard(stack: Stack, client: Client) -> Iterator[list[dict[str, Any]]]:
    """What a socket hears of downloads in Plex, as it comes."""
    url = stack.url.replace("http", "ws") + "/ws/media"
    header = [f"Authorization: Bearer {client.token}"]
    frames: list[dict[str, Any]] = []
    with closing(websocket.create_connection(url, timeout=20, header=header)) as socket:
        assert json.loads(socket.recv())["event"] == "snapshot"

        def listen() -> None:
            try:
                while frame := socket.recv():
                    told = json.loads(frame)
                    if told["event"] == "media:added" and "downloadId" in told["data"]:
                        frames.append(told["data"])
            except (websocket.WebSocketException, OSError):
                return

        threading.Thread(target=listen, daemon=True).start()
        yield frames


def ask(stack: Stack, client: Client, plex: PlexDouble, site: VideoSite, name: str) -> str:
    """Ask for a video that Plex will find in a folder of the library."""
    file = stack.downloads / "films" / name / f"{name} [{name}].mp4"
    plex.library.prepare("Films", str(file.parent), "film", title=name.title(), file=str(file))
    url = f"{site.url}/direct/{name}.mp4?size={SIZE}"
    return str(client.download(url, downloadPath=f"films/{name}")["id"])


def scans(plex: PlexDouble, name: str) -> int:
    seen = plex.asked("/library/sections/")
    return len(
        [one for one in seen if one.path.endswith("/refresh") and one.query["path"].endswith(f"/{name}")]
    )


def available(client: Client, download_id: str, seconds: float = 30) -> dict[str, Any]:
    def is_available() -> Any:
        row = client.get(download_id)
        assert row["status"] != "failed", row
        return row["plex"] if row["plex"] and row["plex"]["state"] != "waiting" else None

    state: dict[str, Any] = eventually(is_available, seconds, what="available")
    assert state["available"], state
    return state


def notices(client: Client, download_id: str) -> list[str]:
    """What is told of it and Plex; that downloads have ended is told of several together."""
    items = client.call("GET", "/dashboard/notifications").json()["data"]["items"]
    mine = [one["type"] for one in items if one["subject"] == {"kind": "download", "id": download_id}]
    return [kind for kind in mine if kind != "download.completed"]


def test_a_download_can_be_watched(stack: Stack, client: Client, plex: PlexDouble, site: VideoSite) -> None:
    plex.scan_delay = 1.0
    with heard(stack, client) as frames:
        download_id = ask(stack, client, plex, site, "heat")
        client.wait(download_id, "completed")
        state = available(client, download_id)
        eventually(lambda: frames)
    item = plex.library.titled("Heat")
    assert state["ratingKey"] == item.rating_key
    assert [(one["downloadId"], one["id"], one["available"]) for one in frames] == [
        (download_id, state["itemId"], True)
    ]
    assert notices(client, download_id) == ["download.available"]
    assert scans(plex, "heat") == 1
    assert stack.query("SELECT title FROM media_items WHERE id = %s", state["itemId"]) == [("Heat",)]
    listed = client.call("GET", "/youtube/downloads").json()["data"]["items"]
    assert listed[0]["plex"] == state

    client.call("DELETE", f"/youtube/downloads/{download_id}", params={"deleteFile": "true"})
    eventually(lambda: scans(plex, "heat") == 2, what="Plex is told that the file is gone")
    assert not list((stack.downloads / "films" / "heat").iterdir())


@pytest.mark.long
def test_a_worker_killed_between_scan_and_find(
    stack: Stack, client: Client, plex: PlexDouble, site: VideoSite
) -> None:
    plex.scan_delay = 3.0
    with heard(stack, client) as frames:
        download_id = ask(stack, client, plex, site, "ronin")
        eventually(lambda: scans(plex, "ronin"))
        stack.kill_group("worker")
        stack.start_maintenance()
        available(client, download_id)
        eventually(lambda: frames)
    assert [one["downloadId"] for one in frames] == [download_id]
    assert notices(client, download_id) == ["download.available"]
    assert scans(plex, "ronin") == 1


@pytest.mark.long
def test_redis_is_emptied_between_scan_and_find(
    stack: Stack, client: Client, plex: PlexDouble, site: VideoSite
) -> None:
    plex.scan_delay = 2.0
    download_id = ask(stack, client, plex, site, "thief")
    eventually(lambda: scans(plex, "thief"))
    redis.Redis.from_url(stack.redis_url).flushall()
    available(client, download_id)
    assert notices(client, download_id) == ["download.available"]


@pytest.mark.long
def test_plex_is_down_when_a_download_is_completed(
    stack: Stack, client: Client, plex: PlexDouble, site: VideoSite
) -> None:
    plex.scan_delay = 0.1
    plex.stop()
    download_id = ask(stack, client, plex, site, "collateral")
    client.wait(download_id, "completed")

    def waits() -> Any:
        state = client.get(download_id)["plex"]
        return state["reason"] and state["reason"]["kind"] == "unreachable"

    eventually(waits)
    plex.start()
    available(client, download_id)
    assert scans(plex, "collateral") == 1


def test_twenty_downloads_into_one_folder(
    stack: Stack, client: Client, plex: PlexDouble, site: VideoSite
) -> None:
    plex.scan_delay = 1.0
    ids = []
    for number in range(20):
        name = f"part{number}"
        file = stack.downloads / "films" / "box" / f"{name} [{name}].mp4"
        plex.library.prepare("Films", str(file.parent), "film", title=name, file=str(file))
        url = f"{site.url}/direct/{name}.mp4?size={SIZE}"
        ids.append(client.download(url, downloadPath="films/box")["id"])
    for download_id in ids:
        client.wait(download_id, "completed", seconds=60)
    for download_id in ids:
        available(client, download_id, seconds=60)
    began = [one.at for one in plex.asked("/library/sections/") if one.query.get("path", "").endswith("/box")]
    gaps = [later - earlier for earlier, later in pairwise(began)]
    assert all(gap > 9 for gap in gaps), gaps


def test_a_download_outside_of_all_libraries(stack: Stack, client: Client, site: VideoSite) -> None:
    with heard(stack, client) as frames:
        row = client.download(f"{site.url}/direct/other.mp4?size={SIZE}", downloadPath="elsewhere")
        eventually(lambda: frames)
    state = client.get(row["id"])["plex"]
    assert (state["state"], state["reason"]["kind"]) == ("not_found", "outside")
    assert [(one["available"], one["reason"]["kind"]) for one in frames] == [(False, "outside")]
    assert notices(client, row["id"]) == []
