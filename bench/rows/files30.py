"""Thirty files of 5 MB, three at a time: through the API, and by a warmed-up pool of yt-dlp processes."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Iterator

from bench.floors.warm import pool
from bench.installation import (
    ApiConnection,
    installation,
    received,
    services,
    spawned,
    start_workers,
    video_site,
)
from bench.report import Figure, Target
from tests.stack import Stack, eventually

SIZE = 5_000_000
AT_ONCE = 3


def run(quick: bool) -> Iterator[Figure]:
    """Medians of rounds of the floor and of the product in turns."""
    files, rounds = (4, 1) if quick else (30, 3)
    names = [f"file-{number}" for number in range(files)]
    with services() as found, installation(found, DOWNLOAD_CONCURRENCY=str(AT_ONCE)) as stack:
        stack.start_web()
        connection = ApiConnection(stack.port, stack.bootstrap().token)
        start_workers(stack)
        with video_site(names, SIZE) as site, spawned(pool, AT_ONCE) as bare:
            urls = [f"{site}/direct/{name}.mp4?size={SIZE}" for name in names]
            took, floor = [], []
            for number in range(rounds + 1):  # the first warms up and is not counted
                some = urls if number else urls[: 2 * AT_ONCE]
                bare.send([(url, str(stack.folder / f"floor/{at}.mp4")) for at, url in enumerate(some)])
                floor.append(received(bare))
                shutil.rmtree(stack.folder / "floor")
                took.append(_downloaded(stack, connection, some, f"round-{number}"))
            value, low = statistics.median(took[1:]), statistics.median(floor[1:])
            what = f"{files} files of 5 MB, {AT_ONCE} at a time"
            yield Figure("files30", what, value, "s", low, Target(2.5, of="ratio"))
            yield from _where_it_goes(stack, files * rounds)


def _downloaded(stack: Stack, connection: ApiConnection, urls: list[str], folder: str) -> float:
    """Seconds from the first POST until the last row is completed, on the database's clock (it is this machine's)."""
    began = time.time()
    for url in urls:
        connection.request("POST", "/api/v1/youtube/download", {"url": url, "downloadPath": folder})
    query = (
        "SELECT count(*), extract(epoch FROM max(ended_at)) FROM downloads"
        " WHERE folder = %s AND status = 'completed'"
    )

    def last() -> float | None:
        done, at = stack.query(query, folder)[0]
        return float(at) if done == len(urls) else None

    return float(eventually(last, 60, what="all files are there")) - began


def _where_it_goes(stack: Stack, files: int) -> Iterator[Figure]:
    """Median time from claim to completion, by the timestamps in the rows."""
    rows = stack.query(
        "SELECT extract(epoch FROM downloading_at - created_at), extract(epoch FROM ended_at - downloading_at)"
        " FROM downloads ORDER BY id DESC LIMIT %s",
        files,
    )
    held = statistics.median(float(row[1]) for row in rows) * 1000
    yield Figure("files30", "one of them, from claim to completed, median", held, "ms")
