"""A list of 20 downloads for 16 clients: over a thousand rows, over a million, and bare."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator

import psycopg

from bench.installation import installation, services, start_bare_web, user_of
from bench.report import Figure, Target
from tests.stack import ROOT, Stack

CLIENTS = 16
FIRST, DEEP = "/api/v1/youtube/downloads?limit=20", "/api/v1/youtube/downloads?limit=20&page=1000"

# Rows as finished downloads leave them; one statement, so that the counters get one change.
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
    """Two installations over one server, one with few rows and one with many, asked in turns."""
    few, many, rounds, seconds = (1_000, 30_000, 1, 0.5) if quick else (1_000, 1_000_000, 3, 1.5)
    with services() as found:
        large = found.second_database("large")
        with installation(found) as small, installation(found, database_url=large) as big:
            asked = {"few": _Asked(small, few), "many": _Asked(big, many)}
            for asker in asked.values():
                asker.warm_up()
            for _ in range(rounds):
                for asker in asked.values():
                    asker.ask(seconds)
            yield from _figures(asked["few"], asked["many"])
            deep = asked["many"].visit(asked["many"].stack.port, DEEP, 2 * seconds)
            yield Figure("list", f"page 1,000 of {many:,} rows", deep["rps"], "rps", more_is_better=True)


class _Asked:
    """An installation with rows, its floor beside it, and what both answered."""

    def __init__(self, stack: Stack, rows: int) -> None:
        self.stack, self.rows = stack, rows
        stack.start_web()
        client, user_id = user_of(stack)
        self.token = client.token
        self.bare = start_bare_web(stack)
        with psycopg.connect(stack.database_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(FILL, (user_id, rows))
            # What autovacuum does within a minute, now and not in the middle of the measurement.
            connection.execute("VACUUM ANALYZE downloads")
            connection.execute("CHECKPOINT")
        self.ours: list[dict[str, float]] = []
        self.floor: list[dict[str, float]] = []

    def warm_up(self) -> None:
        self.visit(self.stack.port, FIRST, 0.5)
        self.visit(self.bare, "/downloads?limit=20", 0.5)

    def ask(self, seconds: float) -> None:
        self.ours.append(self.visit(self.stack.port, FIRST, seconds))
        self.floor.append(self.visit(self.bare, "/downloads?limit=20", seconds))

    def visit(self, port: int, path: str, seconds: float) -> dict[str, float]:
        """Let the clients, a process of their own, ask for that long."""
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


def _figures(few: _Asked, many: _Asked) -> Iterator[Figure]:
    for asked in (few, many):
        of = f"of {asked.rows:,} rows"
        rate, floor = _middle(asked.ours, "rps"), _middle(asked.floor, "rps")
        what = f"lists of 20 {of}, {CLIENTS} clients"
        yield Figure("list", what, rate, "rps", floor, Target(1.5, of="ratio"), more_is_better=True)
        yield _latency(asked, of, "p50", None)
        yield _latency(asked, of, "p99", Target(40))
    target = Target(1.5, of="ratio")
    slow, fast = _middle(many.ours, "rps"), _middle(few.ours, "rps")
    what = f"{many.rows:,} rows (measured) against {few.rows:,} (floor)"
    yield Figure("list", what, slow, "rps", fast, target, more_is_better=True)


def _latency(asked: _Asked, of: str, key: str, target: Target | None) -> Figure:
    value, floor = _middle(asked.ours, key), _middle(asked.floor, key)
    return Figure("list", f"one list {of}, {key}", value, "ms", floor, target)
