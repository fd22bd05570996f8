"""Beat's scheduler: as Celery's own, but short of words while Redis is away."""

from __future__ import annotations

from typing import Any

import structlog
from celery.beat import PersistentScheduler

log = structlog.get_logger(__name__)


class Timekeeper(PersistentScheduler):  # type: ignore[misc]
    """Says once that nothing can be sent, and once that it can again; a job that is due meanwhile is left out."""

    _away = False

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send what is due; Celery's own would log two stack traces where that fails."""
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
