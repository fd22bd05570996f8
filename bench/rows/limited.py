"""The cost of rate limits: the same list of 20 rows with limits (counted in Redis) and without."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator

import psycopg

from bench.installation import created_admin, installation, services
from bench.report import Figure, Target
from bench.rows.listing import CLIENTS, FILL, FIRST
from tests.stack import ROOT, Stack

ROWS = 1_000
# Limits that are counted like the product's own, but never reached.
ENDLESS = {
    "RATE_LIMIT_ENABLED": "true",
    "RATE_LIMIT_ADMIN": "100000/min,10000000/h",
    "RATE_LIMIT_MEDIA": "100000/min",
}


def run(quick: bool) -> Iterator[Figure]:
    """Two installations on one database server, measured in turns."""
    rounds, seconds = (1, 0.5) if quick else (5, 1.5)
    with services() as found:
        second = found.second_database("unlimited")
        with (
            installation(found, **ENDLESS) as limited,
            installation(found, database_url=second) as unlimited,
        ):
            tokens = {stack: _filled(stack) for stack in (limited, unlimited)}
            for stack, token in tokens.items():
                _load(stack, token, 0.5)
            results = {stack: list[dict[str, float]]() for stack in tokens}
            for _ in range(rounds):
                for stack, token in tokens.items():
                    results[stack].append(_load(stack, token, seconds))
            with_, without = (
                {key: statistics.median(each[key] for each in results[stack]) for key in ("rps", "p50")}
                for stack in (limited, unlimited)
            )
    what = f"lists of 20 with limits (measured) and without (floor), {CLIENTS} clients"
    target = Target(1.2, of="ratio")
    yield Figure("limits", what, with_["rps"], "rps", without["rps"], target, more_is_better=True)
    yield Figure("limits", "one such list, p50", with_["p50"], "ms", without["p50"])


def _filled(stack: Stack) -> str:
    """Start the web processes and insert a user's rows; returns the user's token."""
    stack.start_web()
    client, user_id = created_admin(stack)
    with psycopg.connect(stack.database_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(FILL, (user_id, ROWS))
        connection.execute("VACUUM ANALYZE downloads")
    return client.token


def _load(stack: Stack, token: str, seconds: float) -> dict[str, float]:
    command = [
        sys.executable,
        "-m",
        "bench.floors.keepalive",
        str(stack.port),
        FIRST,
        str(CLIENTS),
        str(seconds),
    ]
    done = subprocess.run(command, input=token, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
    return dict(json.loads(done.stdout))
