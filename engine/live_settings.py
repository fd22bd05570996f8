"""Settings that an admin changes while everything runs: each process reads them anew every few seconds."""

from __future__ import annotations

import time

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine import secret_box
from engine.errors import ServiceUnavailable
from models.setting import StoredSetting

log = structlog.get_logger(__name__)

FRESH_SECONDS = 5.0


class LiveSettings:
    """The settings of a process, kept up to date.

    Args:
        environment: what the process was started with; it wins over what is stored.
    """

    def __init__(self, environment: Settings) -> None:
        self.environment = environment
        self.settings = environment
        self._stored: dict[str, str] = {}
        self._fresh_until = 0.0

    def refresh(self, db: Session) -> None:
        """Read what is stored, if that is long ago, within a unit of work that is open anyway."""
        if time.monotonic() < self._fresh_until:
            return
        stored = {row.name: row.value for row in db.execute(select(StoredSetting.name, StoredSetting.value))}
        self._fresh_until = time.monotonic() + FRESH_SECONDS
        if stored != self._stored:
            self._stored = stored
            self.settings = self.environment.overlaid(self._opened(stored))

    def expire(self) -> None:
        """Read anew at the next unit of work: something has just been stored."""
        self._fresh_until = 0.0

    def _opened(self, stored: dict[str, str]) -> dict[str, str]:
        texts = {}
        for name, value in stored.items():
            try:
                texts[name] = (
                    secret_box.opened(self.environment, name, value) if Settings.is_secret(name) else value
                )
            except ServiceUnavailable as error:
                log.warning("settings.secret_unreadable", setting=name, error=error.message)
        return texts
