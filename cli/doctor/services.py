"""What the doctor sees of PostgreSQL and Redis, and through them of workers and beat."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import redis
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from cli.doctor.finding import Finding, fail, ok, warn
from cli.errors import CommandError
from cli.maintenance.installation import NotRunning, database_url, redis_url
from config.celery import QUEUES
from config.redis import make_redis
from config.settings import Settings
from engine.monitoring import queues
from engine.monitoring.beat_pulse import is_beating
from engine.monitoring.heartbeats import FRESH
from models.heartbeat import Heartbeat
from models.revision import newest
from models.session import Database

CLOCK_WARN, CLOCK_FAIL = 2.0, 30.0  # seconds; sessions and passes are judged by the clock of each host
_FULL = 0.9  # of Redis's memory
_START = "start it: medianest up. If it runs: look at its log in DATA_DIR"


class Services:
    """Asks database and Redis; what the first questions found out is used by the later ones.

    Attributes:
        settings: with the URLs of what was found running.
        workers: the queues of each live worker; None where nobody could be asked.
        redis_answers: whether it is worth asking anything else of it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.workers: dict[str, list[str]] | None = None
        self.redis_answers = False

    def database(self) -> Iterator[Finding]:
        """Reachable, of the newest schema, of one mind about the time; the heartbeats in it."""
        where = "DATABASE_URL" if self.settings.database_url else "embedded"
        try:
            url = database_url(self.settings)
            database = Database(url, pool_size=1)
            try:
                with database.reading() as db:
                    yield from self._ask_database(db, where)
            finally:
                database.close()
        except CommandError as error:
            advice = _START if isinstance(error, NotRunning) else "run this as the user that runs MediaNest"
            yield fail("database", str(error), advice)
        except SQLAlchemyError as error:
            reason = (str(getattr(error, "orig", error)).strip().splitlines() or ["no reason given"])[0]
            yield fail("database", f"{where}: {reason}", "start PostgreSQL, or correct DATABASE_URL")

    def _ask_database(self, db: Session, where: str) -> Iterator[Finding]:
        version = db.scalar(text("SHOW server_version"))
        yield ok("database", f"PostgreSQL {version} answers ({where})")
        yield _clock(db)
        if db.scalar(text("SELECT to_regclass('alembic_version')")) is None:
            yield fail("schema", "the database has no tables yet", "medianest migrate")
            return
        revision = str(db.scalar(text("SELECT version_num FROM alembic_version")))
        if revision < newest():
            yield fail("schema", f"it is at {revision}, this version needs {newest()}", "medianest migrate")
            return
        if revision > newest():
            advice = "install the newer MediaNest here too, or restore a backup of before"
            yield fail("schema", f"it is at {revision}, newer than this version's {newest()}", advice)
            return
        yield ok("schema", f"{revision}, the newest")
        fresh = Heartbeat.seen_at > func.clock_timestamp() - FRESH
        rows = db.execute(select(Heartbeat.name, Heartbeat.queues).where(fresh).order_by(Heartbeat.name))
        self.workers = {name: queues.split(",") for name, queues in rows}
        yield from _held(db)

    def redis(self) -> Iterator[Finding]:
        """Reachable, keeps what it is given."""
        where = "REDIS_URL" if self.settings.redis_url else "embedded"
        try:
            found = dataclasses.replace(self.settings, redis_url=redis_url(self.settings))
            with make_redis(found) as client:
                info: dict[str, Any] = client.info()
                self.settings, self.redis_answers = found, True
                yield ok("redis", f"Redis {info.get('redis_version', '?')} answers ({where})")
                yield from _keeps(info, _takes_snapshots(client))
        except CommandError as error:
            advice = _START if isinstance(error, NotRunning) else "run this as the user that runs MediaNest"
            yield fail("redis", str(error), advice)
        except (redis.RedisError, ValueError) as error:
            yield fail("redis", f"{where}: {error}", "start Redis, or correct REDIS_URL")

    def beat(self) -> Iterator[Finding]:
        """Its pulse."""
        if not self.redis_answers:
            yield fail("beat", "not known: its pulse is in Redis", "bring Redis back first")
            return
        with make_redis(self.settings) as client:
            if is_beating(client):
                yield ok("beat", "its pulse is fresh")
            else:
                advice = "start it (the line `beat` of the Procfile): without it nothing lost is looked for"
                yield fail("beat", "no pulse within 30 s", advice)

    def queues(self) -> Iterator[Finding]:
        """Who serves each queue."""
        if self.workers is None:
            yield fail(
                "workers", "not known: heartbeats are in the database", "bring the database back first"
            )
            return
        for queue in QUEUES:
            serving = [name for name, queues in self.workers.items() if queue in queues]
            if serving:
                yield ok("workers", f"queue {queue}: {', '.join(serving)}")
            else:
                advice = (
                    f"start a worker with -Q {queue}: see the lines `downloads` and `worker` of the Procfile"
                )
                yield fail("workers", f"queue {queue}: no worker was heard of within 30 s", advice)


def _held(db: Session) -> Iterator[Finding]:
    """Queues that do not move although workers are there."""
    for queue in queues.overview(db, QUEUES):
        if queue.paused_at is not None:
            text = f"{queue.name} is held since {queue.paused_at:%Y-%m-%d %H:%M} UTC; {queue.depth} wait"
            yield warn("queues", text, f"POST /api/v1/admin/queues/{queue.name}/resume lets it go on")
        if queue.blocked is not None:
            text = f"{queue.name} begins nothing new: {queue.blocked}; {queue.depth} wait"
            yield warn("queues", text, "where it is the disk: make room. It goes on by itself")
        for host in queue.throttled_hosts:
            text = f"{host.name} had enough of us ({host.reason}); left alone until {host.throttled_until:%H:%M} UTC"
            yield warn("queues", text, "wait: it goes on by itself")


def _clock(db: Session) -> Finding:
    before = time.time()
    theirs: datetime = db.scalar(select(func.clock_timestamp())) or datetime.now(UTC)
    apart = theirs.timestamp() - (before + time.time()) / 2
    words = f"{abs(apart):.1f} s {'behind' if apart > 0 else 'ahead of'} the database's"
    advice = "let NTP set the clock of this host and of the database's"
    if abs(apart) > CLOCK_FAIL:
        return fail("clock", words, advice)
    return warn("clock", words, advice) if abs(apart) > CLOCK_WARN else ok("clock", words)


def _keeps(info: dict[str, Any], snapshots: bool | None) -> Iterator[Finding]:
    limit, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    policy = str(info.get("maxmemory_policy", "unknown"))
    if limit and policy != "noeviction":
        advice = "set maxmemory-policy to noeviction: this is a queue, not a cache"
        yield warn("redis eviction", f"{policy}: a full Redis throws messages away", advice)
    elif limit and used > _FULL * limit:
        yield warn("redis eviction", f"{used / limit:.0%} of its memory is used", "raise maxmemory")
    else:
        yield ok("redis eviction", "nothing is thrown away" + ("" if limit else " (no memory limit)"))
    if info.get("aof_enabled") and info.get("aof_last_write_status", "ok") != "ok":
        yield fail("redis persistence", "the last write to its file failed", "look at its log and its disk")
    elif info.get("aof_enabled"):
        yield ok("redis persistence", "append-only file")
    elif snapshots is None:
        yield ok("redis persistence", "not told: its provider decides")
    elif snapshots:
        yield ok("redis persistence", "snapshots")
    else:
        advice = "set appendonly yes; after a loss waiting downloads are rung for again within seconds"
        yield warn("redis persistence", "none: a restart forgets what was queued", advice)


def _takes_snapshots(client: redis.Redis) -> bool | None:
    """Whether save points are set; None where CONFIG is closed, as with managed services."""
    try:
        return bool(client.config_get("save").get("save"))
    except redis.ResponseError:
        return None
