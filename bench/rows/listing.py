"""A list of 20 downloads for 16 clients: of a thousand rows, of a million, and from the bare web server."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator

import psycopg

from bench.installation import created_admin, installation, services, start_bare_web
from bench.report import Figure, Target
from tests.stack import ROOT, Stack

CLIENTS = 16
FIRST, DEEP = "/api/v1/youtube/downloads?limit=20", "/api/v1/youtube/downloads?limit=20&page=1000"

# Rows of ended downloads; one statement, so that `row_counts` gets one change.
FILL = """
INSERT INTO downloads (
    id, user_id, status, url, url_key, host, quality, format, folder, source_id, title, channel, duration, thumbnail,
    progress, downloaded_bytes, total_bytes, attempt, epoch, lease_owner, started_at, downloading_at, processing_at,
    ended_at, file, correlation_id, created_at, next_run_at)
SELECT 'dl-' || lpad(n::text, 26, '0'), %s, CASE WHEN n %% 10 = 0 THEN 'failed' ELSE 'completed' END,
    'https://www.youtube.com/watch?v=' || left(md5(n::text), 11), md5(n::text) || md5((n + 1)::text), 'youtube',
    'best', 'mp4', 'films', left(md5(n::text), 11), 'A film of ' || n || ' in the mountains', 'The channel', 1234.5,
    'https://i.ytimg.com/vi/' || left(md5(n::text), 11) || '/maxresdefault.jpg', 100, 5000000, 5000000, 1, 1,
    jsonb_build_object('host', 'media/1/2', 'pid', n, 'started', 1.5), at, at, at, at,
    jsonb_build_object('path', 'films/' || n || '.mp4', 'size', 5000000, 'container', 'mp4', 'height', 1080,
                       'duration', 1234.5),
    md5((n + 2)::text), at, at
FROM generate_series(1, %s::bigint) AS n, LATERAL (SELECT now() - interval '1 year' + n * interval '20 s' AS at) AS times
"""


def run(quick: bool) -> Iterator[Figure]:
    """Two installations on one database server, with few and with many rows, measured in turns."""
    few, many, rounds, seconds = (1_000, 30_000, 1, 0.5) if quick else (1_000, 1_000_000, 3, 1.5)
    with services() as found:
        large = found.second_database("large")
        with installation(found) as small, installation(found, database_url=large) as big:
            measured = {"few": _Measured(small, few), "many": _Measured(big, many)}
            for installed in measured.values():
                installed.warm_up()
            for _ in range(rounds):
                for installed in measured.values():
                    installed.round(seconds)
            yield from _figures(measured["few"], measured["many"])
            deep = measured["many"].load(measured["many"].stack.port, DEEP, 2 * seconds)
            yield Figure("list", f"page 1,000 of {many:,} rows", deep["rps"], "rps", more_is_better=True)


class _Measured:
    """An installation with rows, its floor, and the results of both."""

    def __init__(self, stack: Stack, rows: int) -> None:
        self.stack, self.rows = stack, rows
        stack.start_web()
        client, user_id = created_admin(stack)
        self.token = client.token
        self.bare = start_bare_web(stack)
        with psycopg.connect(stack.database_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(FILL, (user_id, rows))
            # Otherwise autovacuum would do this within a minute, in the middle of the measurement.
            connection.execute("VACUUM ANALYZE downloads")
            connection.execute("CHECKPOINT")
        self.ours: list[dict[str, float]] = []
        self.floor: list[dict[str, float]] = []

    def warm_up(self) -> None:
        self.load(self.stack.port, FIRST, 0.5)
        self.load(self.bare, "/downloads?limit=20", 0.5)

    def round(self, seconds: float) -> None:
        self.ours.append(self.load(self.stack.port, FIRST, seconds))
        self.floor.append(self.load(self.bare, "/downloads?limit=20", seconds))

    def load(self, port: int, path: str, seconds: float) -> dict[str, float]:
        """Run the clients in another process for `seconds`; returns their figures."""
        command = [
            sys.executable,
            "-m",
            "bench.floors.keepalive",
            str(port),
            path,
            str(CLIENTS),
            str(seconds),
        ]
        done = subprocess.run(
            command, input=self.token, capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert done.returncode == 0, done.stderr[-1000:]
        return dict(json.loads(done.stdout))


def _middle(rounds: list[dict[str, float]], key: str) -> float:
    return statistics.median(each[key] for each in rounds)


def _figures(few: _Measured, many: _Measured) -> Iterator[Figure]:
    for measured in (few, many):
        of = f"of {measured.rows:,} rows"
        rate, floor = _middle(measured.ours, "rps"), _middle(measured.floor, "rps")
        what = f"lists of 20 {of}, {CLIENTS} clients"
        yield Figure("list", what, rate, "rps", floor, Target(1.5, of="ratio"), more_is_better=True)
        yield _latency(measured, of, "p50", None)
        yield _latency(measured, of, "p99", Target(40))
    target = Target(1.5, of="ratio")
    slow, fast = _middle(many.ours, "rps"), _middle(few.ours, "rps")
    what = f"{many.rows:,} rows (measured) against {few.rows:,} (floor)"
    yield Figure("list", what, slow, "rps", fast, target, more_is_better=True)


def _latency(measured: _Measured, of: str, key: str, target: Target | None) -> Figure:
    value, floor = _middle(measured.ours, key), _middle(measured.floor, key)
    return Figure("list", f"one list {of}, {key}", value, "ms", floor, target)
