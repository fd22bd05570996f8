"""POST of a download: time until the answer, and, with warmed-up workers, until its first bytes at a WebSocket."""

from __future__ import annotations

import contextlib
import json
import statistics
import threading
import time
from collections.abc import Iterator
from functools import partial

import redis
import websocket

from bench.floors.warm import first_bytes
from bench.installation import (
    ApiConnection,
    installation,
    received,
    services,
    spawned,
    start_bare_web,
    start_workers,
    video_site,
)
from bench.report import Figure, Target, percentile
from tests.stack import Client, Stack, eventually

SIZE = 5_000_000
POST = "/api/v1/youtube/download"
WARM_UPS = 6  # enough that each pool child and web process has worked at least once


def run(quick: bool) -> Iterator[Figure]:
    """Distinct URLs one by one, the product and the floor in turns."""
    posts, watched = (20, 3) if quick else (200, 20)
    names = [f"post-{number}" for number in range(watched + WARM_UPS)]
    with services() as found, installation(found) as stack:
        stack.start_web()
        client = stack.bootstrap()
        yield from _answers(stack, client.token, posts)
        stack.query("DELETE FROM downloads")
        redis.Redis.from_url(stack.redis_url).delete("downloads")
        with video_site(names, SIZE) as site:
            start_workers(stack)
            yield from _first_progress(stack, client, [f"{site}/direct/{n}.mp4?size={SIZE}" for n in names])


def _answers(stack: Stack, token: str, posts: int) -> Iterator[Figure]:
    ours, bare = ApiConnection(stack.port, token), ApiConnection(start_bare_web(stack), token)
    took: list[float] = []
    floor: list[float] = []
    for number in range(-20, posts):  # the first are not counted
        body = {"url": f"http://127.0.0.1:9/clip-{number}.mp4"}
        took.append(ours.request("POST", POST, body)[1] * 1000)
        floor.append(bare.request("POST", "/download", body)[1] * 1000)
    took, floor = took[20:], floor[20:]
    what = "POST of a download answered, "
    median, low = percentile(took, 0.5), percentile(floor, 0.5)
    yield Figure("post", what + "median", median, "ms", low, Target(15))
    yield Figure("post", what + "p99", percentile(took, 0.99), "ms", percentile(floor, 0.99))


def _first_progress(stack: Stack, client: Client, urls: list[str]) -> Iterator[Figure]:
    took: list[float] = []
    floor: list[float] = []
    connection = ApiConnection(stack.port, client.token)
    with (
        FirstBytesWatcher(stack, client.token) as watcher,
        spawned(first_bytes, stack.folder / "floor") as warm,
    ):
        for url in urls:
            began = time.perf_counter()
            row = connection.request("POST", POST, {"url": url})[0]["data"]
            arrived = eventually(partial(watcher.first.get, url), what=f"bytes of {url} at the socket")
            client.wait(row["id"], "completed")
            took.append((arrived - began) * 1000)
            warm.send(url)
            floor.append(received(warm) * 1000)
    took, floor = took[WARM_UPS:], floor[WARM_UPS:]
    what = "POST to first bytes at the socket, warm, "
    yield Figure(
        "post", what + "median", statistics.median(took), "ms", statistics.median(floor), Target(100)
    )
    yield Figure("post", what + "slowest", max(took), "ms", max(floor))


class FirstBytesWatcher:
    """Reads a WebSocket in a thread; `first` has the time of each URL's first progress event with bytes."""

    def __init__(self, stack: Stack, token: str) -> None:
        self.first: dict[str, float] = {}
        self._socket = websocket.create_connection(
            f"ws://127.0.0.1:{stack.port}/ws/media", header=[f"Authorization: Bearer {token}"], timeout=60
        )
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> FirstBytesWatcher:
        assert json.loads(self._socket.recv())["event"] == "snapshot"
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _follow(self) -> None:
        with contextlib.suppress(websocket.WebSocketException, OSError):
            while text := self._socket.recv():
                frame = json.loads(text)
                data = frame["data"]
                if frame["event"] == "download:progress" and data["downloadedBytes"]:
                    self.first.setdefault(data["url"], time.perf_counter())
