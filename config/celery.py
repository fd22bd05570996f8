"""The Celery app: queues, routes, limits and transport options, each with its reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

from celery import Celery
from kombu import Exchange, Queue

from config.settings import Settings

QUEUES = ("downloads", "plex", "webhooks", "media", "notifications", "requests", "maintenance")


class Bell(Protocol):
    """A job to ring for: the task's name, and the queue it waits in."""

    @property
    def value(self) -> str:
        """Name of the task."""

    @property
    def queue(self) -> str:
        """Name of the queue."""


_MESSAGES = {
    # Messages carry nothing but a name, so JSON is enough, and a message can't run code.
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_default_queue": "maintenance",
    "task_create_missing_queues": False,  # an unknown queue in a route raises instead of making one without a consumer
    # The row holds the outcome; results in Redis would be a second truth.
    "task_ignore_result": True,
    "task_store_errors_even_if_ignored": False,
    # Acknowledged before the work: the lease of the row brings a job back, not the broker. Late acks would
    # double long jobs after the visibility timeout and can kill the worker when Redis goes away.
    "task_acks_late": False,
    "task_reject_on_worker_lost": False,
    "task_send_sent_event": False,
}
_WORKER = {
    # One bell at a time, and none held back by a busy worker: with prefetch, two stayed stuck after a kill.
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    "worker_max_tasks_per_child": 500,  # an attempt is a process of its own; this only bounds slow leaks of ours
    "worker_cancel_long_running_tasks_on_connection_loss": False,  # a job does not depend on the broker
    "worker_soft_shutdown_timeout": 2.0,  # attempts end within a second of SIGTERM; see engine.jobs.shutdown
    "worker_enable_soft_shutdown_on_idle": False,
    "worker_hijack_root_logger": False,  # config.logging has it
    "worker_redirect_stdouts": False,
    "worker_send_task_events": True,  # for Flower
}
_BROKER = {
    "broker_connection_retry_on_startup": True,
    "broker_connection_retry": True,
    "broker_connection_max_retries": None,  # Redis may be away for as long as it likes
    "broker_transport_options": {
        "max_retries": 0,  # ringing without Redis fails in a millisecond; with retries each ring took 6 s
        "socket_timeout": 2,  # a frozen Redis holds up a ring no longer than that
        "socket_connect_timeout": 1,
        "socket_keepalive": True,
        "visibility_timeout": 3600,
        "unacked_restore_interval": 5,
        # kombu 5.7 drops a connection whose BRPOP is unanswered for this long, and a frozen Redis that resumes
        # still pops for it: with 10 s, 6 of 6 freezes of 20 s lost a bell. The reconciler rings again anyway.
        "health_check_interval": 60,
    },
}
_BEAT = {
    "beat_max_loop_interval": 5,
    "beat_scheduler": "schedules.timekeeper:Timekeeper",
    "timezone": "UTC",
}


def make_celery(settings: Settings) -> Celery:
    """Build the app; nothing connects before the first message."""
    app = Celery("medianest", broker=broker_url(settings.redis_url), set_as_current=False)
    app.conf.update(_MESSAGES | _WORKER | _BROKER | _BEAT)
    app.conf.update(
        task_queues=[Queue(name, Exchange(name, type="direct"), routing_key=name) for name in QUEUES],
        broker_pool_limit=settings.web_threads,  # fewer, and threads would queue for a connection that is stuck
        beat_schedule_filename=str(settings.beat_schedule),
    )
    return app


def broker_url(redis_url: str) -> str:
    """The same Redis in kombu's spelling, which differs for a unix socket and for TLS.

    Unlike redis-py, kombu looks at no certificate unless it is told to.
    """
    parts = urlsplit(redis_url)
    if parts.scheme == "rediss" and "ssl_cert_reqs" not in parse_qs(parts.query):
        return f"{redis_url}{'&' if parts.query else '?'}ssl_cert_reqs=required"
    if parts.scheme != "unix":
        return redis_url
    database = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.netloc}{parts.path}?virtual_host={database}"


def make_bell(app: Celery) -> Callable[[Bell], None]:
    """The function that rings for a job: one small message, no retry, since the reconciler rings again."""

    def ring(job: Bell) -> None:
        app.send_task(job.value, queue=job.queue, retry=False, ignore_result=True)

    return ring
