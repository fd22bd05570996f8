"""Beat's scheduler: Celery's own, but with one log line instead of stack traces while Redis is away."""

from __future__ import annotations

from typing import Any

import structlog
from celery.beat import PersistentScheduler

log = structlog.get_logger(__name__)


class Timekeeper(PersistentScheduler):  # type: ignore[misc]
    """Logs once when nothing can be sent and once when it can again; jobs that are due meanwhile are skipped."""

    _away = False

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send a due job's message; Celery's own method logs two stack traces per failure."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except Exception as error:  # noqa: BLE001 - kombu, redis-py and the socket raise many kinds
            if not self._away:
                log.warning("beat.redis_away", reason=str(error.__context__ or error))
            self._away = True
            return
        log.debug("beat.sent", job=entry.task)
        if self._away:
            self._away = False
            log.info("beat.redis_back")
