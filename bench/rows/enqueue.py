"""Latency from enqueue to start: a no-op job against bare Celery, and a download's row from insert to claim."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import redis
from celery import Celery

from bench.floors.bare_celery import NAME, QUEUE
from bench.installation import TIMEOUT, created_admin, installation, runtime_of, services, video_site
from bench.report import Figure, Target, percentile
from config.celery import broker_url, make_celery
from config.settings import Settings
from engine.downloads import downloads
from engine.downloads.work import DOWNLOAD
from engine.job_names import Job
from engine.jobs import lease
from engine.jobs.owner import this_process
from engine.runtime import Runtime
from models.base import new_id
from tests.stack import Stack, eventually

WARM_UPS = 20
WAITING = """
INSERT INTO downloads (id, user_id, status, url, url_key, host, quality, format, folder)
SELECT 'dl-' || lpad(n::text, 26, '0'), %s, 'queued', 'http://127.0.0.1/' || n, n::text, 'host' || n %% 50, 'best', 'mp4', ''
FROM generate_series(1, %s::bigint) AS n
"""


def run(quick: bool) -> Iterator[Figure]:
    """All workers run all the time, and are measured in turns."""
    jobs, rows = (20, 5) if quick else (300, 100)
    with services() as found, installation(found) as stack:
        stack.start_web()
        user_id = created_admin(stack)[1]
        stack.start_maintenance()
        yield from _noops(stack, jobs)
        with runtime_of(stack) as runtime, video_site([], 0) as site:
            yield from _claims(stack, runtime, user_id, 10 * rows, 100 * rows)
            stack.start_worker(concurrency=4)
            yield from _rows(runtime, user_id, site, rows)


def _noops(stack: Stack, jobs: int) -> Iterator[Figure]:
    url = stack.redis_url
    ours = _sender(make_celery(Settings.load(stack.env)), Job.NOOP.value, "medianest:noop:{}", url)
    bare = _sender(_worker(stack, "app", 1), NAME, "{}", _database(url, 1))
    stock = _sender(_worker(stack, "stock", 2), NAME, "{}", _database(url, 2))
    took: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for number in range(jobs + WARM_UPS):
        for which, send in enumerate((ours, bare, stock)):
            milliseconds = send()
            if number >= WARM_UPS:
                took[which].append(milliseconds)
    for name in ("bare", "stock"):
        stack.processes.pop(name).terminate()
    what = "enqueue to start of a no-op, "
    target = Target(1.5, of="ratio")
    yield Figure("enqueue", what + "median", percentile(took[0], 0.5), "ms", percentile(took[1], 0.5), target)
    yield Figure("enqueue", what + "p99", percentile(took[0], 0.99), "ms", percentile(took[1], 0.99), target)
    yield Figure("enqueue", "the same with Celery's own settings, median", percentile(took[2], 0.5), "ms")


def _database(url: str, number: int) -> str:
    return url.replace("db=0", f"db={number}")


def _worker(stack: Stack, name: str, number: int) -> Celery:
    """Start a bare worker with its own Redis database and the product's concurrency; returns an app to send with."""
    url = _database(stack.redis_url, number)
    stack.start(
        "bare" if name == "app" else name, "celery", "-A", f"bench.floors.bare_celery:{name}", "worker",
        "-n", f"{name}@%h", "-Q", QUEUE, "-c", "2", "--without-gossip", "--without-mingle", REDIS_URL=url,
    )  # fmt: skip
    if name == "app":
        return make_celery(Settings.load({**stack.env, "REDIS_URL": url}))
    sender = Celery("sender", broker=broker_url(url), set_as_current=False)
    sender.conf.update(task_default_queue=QUEUE, task_ignore_result=True)
    return sender


def _sender(app: Celery, task: str, key: str, redis_url: str) -> Callable[[], float]:
    """A function that sends a job, waits for it, and returns the milliseconds until it began."""
    client = redis.Redis.from_url(redis_url)

    def send() -> float:
        token = new_id("noop")
        began = time.time()
        app.send_task(task, [token], queue=QUEUE, retry=False, ignore_result=True)
        answer = client.blpop([key.format(token)], timeout=TIMEOUT)
        assert answer is not None, f"nobody ran {task}"
        return (float(answer[1]) - began) * 1000

    return send


def _claims(stack: Stack, runtime: Runtime, user_id: str, few: int, many: int) -> Iterator[Figure]:
    """A claim, rolled back each time, while many rows wait; the floor is the same with few rows."""
    medians = []
    for waiting in (few, many):
        stack.query(WAITING, user_id, waiting)
        stack.query("VACUUM ANALYZE downloads")
        took = []
        for _ in range(WARM_UPS):
            began = time.perf_counter()
            with runtime.unit_of_work() as db:
                assert lease.claim(db, DOWNLOAD, runtime.settings, this_process()) is not None
                took.append((time.perf_counter() - began) * 1000)
                db.rollback()
        medians.append(percentile(took, 0.5))
        stack.query("DELETE FROM downloads")
    what = f"a claim while {many:,} rows wait (floor: {few:,}), median"
    yield Figure("enqueue", what, medians[1], "ms", medians[0])


def _rows(runtime: Runtime, user_id: str, site: str, rows: int) -> Iterator[Figure]:
    """Each download fails at once with a 404, so that the next finds idle workers."""
    took: list[float] = []
    for number in range(rows + WARM_UPS // 4):
        began = time.time()
        with runtime.unit_of_work() as db:
            row, _ = downloads.create(
                db, runtime.settings, user_id=user_id, url=f"{site}/direct/{number}.mp4?status=404"
            )

        def ended(row_id: str = row.id) -> float | None:
            with runtime.unit_of_work() as db:
                found = downloads.get(db, row_id, owner_id=None)
                at = found.downloading_at
                return at.timestamp() if found.ended_at is not None and at is not None else None

        took.append((eventually(ended, what="the row ends") - began) * 1000)
    took = took[WARM_UPS // 4 :]
    what = "a download from before its insert to its claim, "
    yield Figure("enqueue", what + "median", percentile(took, 0.5), "ms")
    yield Figure("enqueue", what + "p99", percentile(took, 0.99), "ms")
