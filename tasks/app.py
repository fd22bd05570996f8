"""The Celery app of the workers, and what each of their processes is given: settings, database, Redis, the bell."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import structlog
from celery import signals
from celery.apps import worker as celery_worker
from celery.exceptions import CPendingDeprecationWarning, SecurityWarning
from sqlalchemy.orm import configure_mappers

from config.celery import make_bell, make_celery
from config.logging import configure_logging
from config.redis import make_redis
from config.settings import Settings, SettingsError
from engine.clients.ytdlp.entry import warm_up
from engine.job_names import Job
from engine.jobs.shutdown import own_flag, shut_down_on
from engine.monitoring.heartbeats import Pulse
from engine.plex.sync.push_listener import PushListener
from engine.runtime import Runtime
from tasks.base import BaseTask

settings = Settings.of_process()
app = make_celery(settings)
app.task_cls = BaseTask
app.conf.include = [
    "tasks.downloads",
    "tasks.accounts",
    "tasks.notifications",
    "tasks.requests",
    "tasks.plex",
    "tasks.webhooks",
    "tasks.maintenance",
    "tasks.control",
]

LAST_RESORT_SECONDS = 6.5  # a shutdown takes 2 to 4; whoever asked for it waits for 8

log = structlog.get_logger(__name__)
_runtime: Runtime | None = None


def runtime() -> Runtime:
    """The runtime of this process: made at first use, never shared over a fork."""
    global _runtime
    if _runtime is None:
        _runtime = Runtime(settings, make_redis(settings), make_bell(app), pool_size=2)
    return _runtime


def bells_in_queue(queue: str) -> int:
    """How many messages wait in a queue; as many as can be where Redis is away, so that nobody rings in vain."""
    try:
        return int(runtime().redis.llen(queue))
    except Exception:  # noqa: BLE001 - redis-py and the socket raise many kinds
        return 1_000_000


def forget_runtime() -> None:
    """In a forked child: leave the parent's connections alone."""
    global _runtime
    if _runtime is not None:
        _runtime.database.forget()
        _runtime = None


# Containers run as root, and what Celery fears of it (pickle) is switched off.
warnings.filterwarnings("ignore", category=SecurityWarning)
# To people at a terminal, of Ctrl-C; ours reads a log, and who has asked for the end of a worker knows of it.
celery_worker.safe_say = lambda *_: None


@signals.setup_logging.connect
def _logging(**_: Any) -> None:
    configure_logging(settings)


@signals.worker_init.connect
def _before_the_fork(sender: Any, **_: Any) -> None:
    own_flag()
    if Job.DOWNLOAD.queue in sender.app.amqp.queues.consume_from:
        try:
            settings.check_folders()
        except SettingsError as error:
            sys.exit(f"medianest: {error}")
        warm_up()
    runtime()  # its engine, without a connection: what the children need to speak to PostgreSQL is loaded here
    configure_mappers()
    gc.collect()
    gc.freeze()  # what is loaded now stays shared with the pool children


@signals.worker_process_init.connect
def _in_the_child(**_: Any) -> None:
    forget_runtime()


@signals.worker_ready.connect
def _ready(sender: Any, **_: Any) -> None:
    # At each loss of Redis Celery tells of a default that may change; config.celery has set what it speaks of. Only
    # now, since its logging turns these on.
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
    shut_down_on(signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, end_after=LAST_RESORT_SECONDS)
    queues = sorted(sender.app.amqp.queues.consume_from)
    pulse = Pulse(runtime(), str(sender.hostname), queues)
    signals.worker_shutdown.connect(lambda **_: pulse.end(), weak=False)
    _in_background("pulse", pulse.beat_forever)
    if Job.SYNC.queue in queues:
        listener = PushListener(runtime())
        signals.worker_shutdown.connect(lambda **_: listener.end(), weak=False)
        _in_background("plex-listener", listener.run)
    log.info("worker.ready", queues=queues)


def _in_background(name: str, target: Callable[[], None]) -> None:
    threading.Thread(target=target, daemon=True, name=name).start()
