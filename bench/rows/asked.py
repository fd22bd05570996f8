"""Requests: search at TMDB cold and kept, lists and home with 1,000 and 100,000 requests, 10,000 followers told."""

from __future__ import annotations

import http.client
import statistics
import threading
import time
from collections.abc import Callable, Iterator

import psycopg

from bench.installation import (
    ApiConnection,
    created_admin,
    installation,
    runtime_of,
    services,
    start_workers,
)
from bench.report import Figure, Target, percentile
from bench.rows import pages, plex_reads
from engine.media_requests import availability_pass
from tests.fakes.tmdb_server import TmdbDouble
from tests.stack import Client, Stack, eventually

ROW = "requests"
ANSWER = Target(50.0)  # ms
TOLD = Target(60.0)  # s
PASS = Target(1.0)  # s
WORDS = ("Harbour", "River", "Letter", "Garden", "Engine", "Window", "Road", "Bridge", "Archive", "Winter")

# Requests of one user, each of another film, by what the catalogue has of it; so a comparison finds nothing new.
REQUESTS = """
INSERT INTO media_requests (id, media_type, status, tmdb_id, title, year, user_id, updated_at, created_at)
SELECT 'req-' || lpad(n::text, 26, '0'), 'movie',
    CASE WHEN n %% 10 = 9 THEN 'denied' WHEN n <= %(films)s THEN 'available' WHEN n %% 10 < 7 THEN 'processing'
        ELSE 'pending' END,
    (1000000 + n)::text, 'A film of ' || n || ' in the mountains', 1950 + n %% 70, %(user)s, at, at
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n,
    LATERAL (SELECT now() - interval '1 year' + n * interval '20 s' AS at) AS times
"""
PEOPLE = """
INSERT INTO users (id, email, name, role)
SELECT 'usr-' || lpad(n::text, 26, '0'), 'p' || n || '@example.com', 'Person ' || n, 'user'
FROM generate_series(1, %s::bigint) AS n
"""
THEY_FOLLOW = """
INSERT INTO request_followers (request_id, user_id, own) SELECT %s, id, false FROM users WHERE id LIKE 'usr-0%%'
"""
# The same rows, one statement each, as notifications are written one by one.
NOTICE = """
INSERT INTO notifications (id, user_id, type, title, message, subject_kind, subject_id, dedupe_key)
VALUES (%s, %s, 'floor', 'Something can be watched', 'It is in Plex now.', 'request', 'req-floor', 'floor')
"""


def run(quick: bool) -> Iterator[Figure]:
    """A single client, so that the figures are latencies without queueing."""
    rounds, sizes, followers = (5, (100, 1_000), 200) if quick else (40, (1_000, 100_000), 10_000)
    with TmdbDouble() as tmdb, services() as found:
        access = {"TMDB_URL": tmdb.url, "TMDB_TOKEN": tmdb.token}
        with installation(found, **access, PLEX_URL="http://127.0.0.1:1", PLEX_TOKEN="none") as stack:
            stack.start_web()
            client, user_id = created_admin(stack)
            yield from _searched(stack, client, tmdb, rounds)
            plex_reads.fill(stack.database_url, user_id, 20 if quick else 1)
            cookie = pages.signed_in(stack)
            films = stack.query("SELECT count(*) FROM media_items WHERE type = 'movie'")[0][0]
            known = 0
            for size in sizes:
                _execute(stack, REQUESTS, {"user": user_id, "films": films, "first": known + 1, "last": size})
                known = size
                _execute(stack, "VACUUM ANALYZE media_requests")
                yield from _listed(stack, client, cookie, size, rounds)
                yield _compared(stack, size)
            yield from _told(stack, client, followers)


def _execute(stack: Stack, query: str, values: object = None) -> None:
    with psycopg.connect(stack.database_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(query, values)  # type: ignore[arg-type]


def _searched(stack: Stack, client: Client, tmdb: TmdbDouble, rounds: int) -> Iterator[Figure]:
    """Other words each time, then the same again; the floor is what the double itself needs for an answer."""
    queries = [f"{WORDS[n % 10]} {n}" for n in range(rounds)]
    for number, query in enumerate(queries):
        tmdb.film(f"The {query}", 1990 + number % 30)
    api = ApiConnection(stack.port, client.token)
    api.request("GET", "/api/v1/media/search?query=nothing")

    def ask(query: str) -> float:
        answer, seconds = api.request("GET", f"/api/v1/media/search?query={query.replace(' ', '%20')}")
        assert answer["data"]["results"], query
        return seconds * 1000

    host = tmdb.url.removeprefix("http://").partition("/")[0]
    bare = http.client.HTTPConnection(host, timeout=30)

    def fetch(query: str) -> float:
        began = time.perf_counter()
        path = f"/3/search/multi?query={query.replace(' ', '%20')}&page=1"
        bare.request("GET", path, headers={"Authorization": f"Bearer {tmdb.token}"})
        bare.getresponse().read()
        return (time.perf_counter() - began) * 1000

    floor = statistics.median(map(fetch, queries))
    for what in ("other words each time", "the same words again"):
        taken = [ask(query) for query in queries]
        target = ANSWER if what.startswith("the same") else None
        yield Figure(ROW, f"search, {what}: 95th percentile", percentile(taken, 0.95), "ms", floor, target)


def _listed(stack: Stack, client: Client, cookie: str, size: int, rounds: int) -> Iterator[Figure]:
    of = f"{size:,} requests: 95th percentile"
    api = ApiConnection(stack.port, client.token)
    floor = statistics.median(_milliseconds(api, "/api/v1/dashboard/notifications", rounds))
    for what, path in {
        "one's own": "/api/v1/media/requests?limit=20",
        "everybody's": "/api/v1/admin/requests?limit=20",
        "everybody's that failed or wait, page 5": "/api/v1/admin/requests?limit=20&status=pending&page=5",
    }.items():
        yield Figure(
            ROW, f"{what}, {of}", percentile(_milliseconds(api, path, rounds), 0.95), "ms", floor, ANSWER
        )
    offline = statistics.median(pages.times(stack, cookie, pages.FLOOR, rounds))
    for what, path in {"the page of requests": "requests", "the first page of an admin": ""}.items():
        taken = percentile(pages.times(stack, cookie, path, rounds), 0.95)
        yield Figure(ROW, f"{what}, {of}", taken, "ms", offline, ANSWER)


def _milliseconds(api: ApiConnection, path: str, rounds: int) -> list[float]:
    api.request("GET", path)
    return [api.request("GET", path)[1] * 1000 for _ in range(rounds)]


def _compared(stack: Stack, size: int) -> Figure:
    """The pass that compares requests with the catalogue, where nothing has changed since the one before."""
    with runtime_of(stack) as runtime:
        availability_pass.check(runtime)
        taken = [_seconds(lambda: availability_pass.check(runtime)) for _ in range(3)]
    what = f"{size:,} requests compared with the catalogue, nothing new"
    return Figure(ROW, what, statistics.median(taken), "s", None, PASS)


def _seconds(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def _told(stack: Stack, client: Client, followers: int) -> Iterator[Figure]:
    """A request with many followers is denied; the floor writes as many rows, one statement each."""
    _execute(stack, PEOPLE, (followers,))
    request_id = stack.query("SELECT id FROM media_requests WHERE status = 'pending' LIMIT 1")[0][0]
    _execute(stack, THEY_FOLLOW, (request_id,))
    with psycopg.connect(stack.database_url.replace("+psycopg", "")) as connection:
        ids = [user_id for (user_id,) in connection.execute("SELECT id FROM users WHERE id LIKE 'usr-0%'")]

        def write() -> None:
            for start in range(0, len(ids), 500):
                for user_id in ids[start : start + 500]:
                    connection.execute(NOTICE, (f"ntf-floor-{user_id}", user_id))
                connection.commit()

        floor = _seconds(write)
    start_workers(stack)
    api = ApiConnection(stack.port, client.token)
    path = "/api/v1/media/requests?limit=20"
    quiet = percentile(_milliseconds(api, path, 40), 0.95)
    over, meanwhile = threading.Event(), list[float]()

    def look() -> None:
        while not over.wait(0.1):
            meanwhile.append(api.request("GET", path)[1] * 1000)

    thread = threading.Thread(target=look)
    began = time.perf_counter()
    client.call("POST", f"/media/requests/{request_id}/deny", json={"reason": "For the measurement."})
    thread.start()
    told = "SELECT count(*) FROM notifications WHERE type = 'request.denied'"
    eventually(lambda: stack.query(told)[0][0] >= followers, 300, what="everybody is told")
    seconds = time.perf_counter() - began
    over.set()
    thread.join()
    yield Figure(ROW, f"{followers:,} followers told", seconds, "s", floor, TOLD)
    what = "a list meanwhile (floor: before), 95th percentile"
    yield Figure(ROW, what, percentile(meanwhile, 0.95), "ms", quiet)
