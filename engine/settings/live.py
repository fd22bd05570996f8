"""Settings that admins change at run time: each process reads them again every few seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.errors import ServiceUnavailable
from engine.secrets import secret_box
from models.setting import StoredSetting

log = structlog.get_logger(__name__)

FRESH_SECONDS = 2.0


class LiveSettings:
    """The settings of a process, kept up to date; for any number of threads.

    Args:
        environment: what the process was started with; it wins over what is stored.
    """

    def __init__(self, environment: Settings) -> None:
        self.environment = environment
        self.settings = environment
        self._stored: Mapping[str, str] = {}
        self._unreadable: frozenset[str] = frozenset()
        self._known_as_of = 0.0
        self._fresh_until = 0.0
        self._lock = threading.Lock()

    def refresh(self, db: Session) -> None:
        """Read what is stored, if that is long ago, within a unit of work that is open anyway."""
        began = time.monotonic()
        if began < self._fresh_until:
            return
        stored = stored_texts(db)
        with self._lock:
            if began < self._known_as_of:
                return  # a change, or another thread's answer, came in since the query began: which is newer is unknown
            self._known_as_of, self._fresh_until = time.monotonic(), began + FRESH_SECONDS
            if stored != self._stored or self._unreadable:
                self._take_over(stored)

    def expire(self) -> None:
        """Invalidate: the next unit of work reads again. To be called after the commit of a change.

        A read that another thread began before that is discarded.
        """
        with self._lock:
            self._known_as_of, self._fresh_until = time.monotonic(), 0.0

    def reread(self, db: Session) -> None:
        """Read what is stored at this moment, within a unit of work."""
        self.expire()
        self.refresh(db)

    def _take_over(self, stored: Mapping[str, str]) -> None:
        texts, unreadable = opened(self.environment, stored)
        for name in sorted(unreadable - self._unreadable):
            log.warning("settings.secret_unreadable", setting=name)
        self._stored, self._unreadable = stored, unreadable
        self.settings = self.environment.overlaid(texts)


def stored_texts(db: Session) -> dict[str, str]:
    """What is stored, by field; secrets are sealed."""
    return {row.name: row.value for row in db.execute(select(StoredSetting.name, StoredSetting.value))}


def opened(settings: Settings, stored: Mapping[str, str]) -> tuple[dict[str, str], frozenset[str]]:
    """The stored values, secrets decrypted; and the names of those that none of our keys decrypts."""
    texts, unreadable = dict(stored), set()
    for name in filter(Settings.is_secret, stored):
        try:
            texts[name] = secret_box.opened(settings, name, stored[name])
        except ServiceUnavailable:
            del texts[name]
            unreadable.add(name)
    return texts, frozenset(unreadable)
