"""The Celery app for beat: the timetable without the tasks, as beat only sends their names."""

from __future__ import annotations

import threading
from typing import Any

import structlog
from celery import signals

from config.celery import make_celery
from config.logging import configure_logging
from config.redis import make_redis
from config.settings import Settings
from engine.monitoring.beat_pulse import pulse_forever
from schedules.periodic import timetable

settings = Settings.of_process()
app = make_celery(settings)
app.conf.beat_schedule = timetable(settings)
settings.beat_schedule.parent.mkdir(parents=True, exist_ok=True)  # beat exits if it is missing

log = structlog.get_logger(__name__)


@signals.setup_logging.connect
def _logging(**_: Any) -> None:
    configure_logging(settings)


@signals.beat_init.connect
def _ready(**_: Any) -> None:
    threading.Thread(target=pulse_forever, args=[make_redis(settings)], daemon=True, name="pulse").start()
    log.info("beat.ready")
