"""The dependencies of a process: settings, database, Redis, and the bell; built once at its entry point."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import redis
import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.events import Event
from engine.job_names import Job
from engine.settings.live import FRESH_SECONDS, LiveSettings
from engine.stores.redis_breaker import RedisBreaker
from models.session import Database

log = structlog.get_logger(__name__)

_PAUSE = 5.0  # seconds during which a Redis that failed is not given events that another will follow


def settings_of(db: Session) -> Settings:
    """The settings of the unit of work that a session stands for."""
    found: Settings = db.info["settings"]
    return found


class Runtime:
    """Settings in, objects out.

    Args:
        settings: with a `database_url`.
        redis_client: for events.
        ring: sends the wake-up message of a job to its queue; may raise when Redis is away.
        pool_size: connections to PostgreSQL.
    """

    def __init__(
        self,
        settings: Settings,
        redis_client: redis.Redis,
        ring: Callable[[Job], None],
        *,
        pool_size: int = 5,
    ) -> None:
        self.live = LiveSettings(settings)
        self.redis = redis_client
        self.database = Database(settings.database_url, after_commit=self._after_commit, pool_size=pool_size)
        self._ring = ring
        self._events = RedisBreaker(_PAUSE, away="event.lost", back="event.redis_back")

    @property
    def settings(self) -> Settings:
        """The environment's settings merged with those that admins changed; at most 5 seconds old."""
        return self.live.settings

    @contextmanager
    def unit_of_work(self) -> Iterator[Session]:
        """One transaction; its events and bells go out after the commit."""
        with self.database.unit_of_work() as db:
            self.live.refresh(db)
            db.info["settings"] = self.settings
            yield db

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for looking only; see `Database.reading`."""
        with self.database.reading() as db:
            self.live.refresh(db)
            yield db

    @contextmanager
    def unit_on(self, connection: Connection) -> Iterator[Session]:
        """One transaction on a connection of the caller's, which may have temporary tables; else as `unit_of_work`."""
        with Session(connection, expire_on_commit=False) as db:
            db.info["settings"] = self.settings
            yield db
            db.commit()
            info = db.info
        self._after_commit(info)

    def watch_settings(self) -> None:
        """Refresh the settings in a thread, for a process that reads them outside of units of work."""
        threading.Thread(target=self._watch_settings, daemon=True, name="settings").start()

    def _watch_settings(self) -> None:
        while True:
            with suppress(SQLAlchemyError), self.reading():  # the database may be away
                pass
            time.sleep(FRESH_SECONDS)

    def ring(self, job: Job) -> bool:
        """Ring for a job; False, and a log line, where Redis is away: the reconciler rings again."""
        try:
            self._ring(job)
        except Exception as error:  # noqa: BLE001 - kombu and redis-py raise many kinds; the row is safe in any case
            log.warning("bell.lost", job=job.value, error=type(error).__name__)
            return False
        return True

    def publish(self, event: Event) -> None:
        """Publish at once; an event that Redis can't take is dropped: the snapshot has its outcome.

        After a failure passing events are mostly not even tried for a while: a frozen Redis holds each up for seconds,
        and whoever reports progress has a lease to keep.
        """
        self._events.ask(
            lambda: self.redis.publish(event.channel, event.encode()), lambda: None, must=not event.passing
        )

    def _after_commit(self, info: dict[Any, Any]) -> None:
        for event in info.pop("events", ()):
            self.publish(event)
        for job in info.pop("jobs", ()):
            if not self.ring(job):
                break  # each could wait as long for a Redis that is away
