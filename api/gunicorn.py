"""gunicorn's configuration: `gunicorn --config python:api.gunicorn api.wsgi:app`."""

from __future__ import annotations

import gc
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import structlog
from gunicorn import glogging, util  # type: ignore[import-untyped]
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import configure_mappers

from api.security import rate_limits
from api.server import malformed
from config.logging import configure_logging
from config.settings import Settings
from engine.accounts import users
from models.session import Database

settings = Settings.of_process()

log = structlog.get_logger(__name__)


class Logger(glogging.Logger):  # type: ignore[misc]
    """gunicorn's log lines by our own way; requests are logged by `api.wire.correlation`."""

    def setup(self, cfg: Any) -> None:
        """Hand everything to the root logger."""
        super().setup(cfg)
        configure_logging(settings)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


bind = (
    f"[{settings.listen_host}]:{settings.port}"
    if ":" in settings.listen_host
    else (f"{settings.listen_host}:{settings.port}")
)
worker_class = "api.server.worker.PatientWorker"
workers = settings.web_processes
threads = settings.web_threads
preload_app = True  # one import, whose memory the workers share
graceful_timeout = 5  # seconds for requests in hand after SIGTERM
keepalive = 15  # seconds; longer than a proxy's pause between two requests
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - the heartbeat file: no disk
forwarded_allow_ips = ""  # api.security.addresses decides whose word is taken
control_socket_disable = True  # the supervisor controls us
logger_class = Logger
accesslog = None
limit_request_line = 8190  # a URL of 2,000 characters, each percent-encoded in UTF-8, fits
util.write_error = malformed.failed
proc_name = "medianest-web"


def when_ready(server: Any) -> None:
    """Before the fork: what is loaded stays shared. In production, show the bootstrap's proof until it is used."""
    configure_mappers()
    gc.collect()
    gc.freeze()
    if settings.app_env != "production" or settings.setup_token:
        return
    database = Database(settings.database_url, pool_size=1)
    try:
        with database.unit_of_work() as db:
            waiting = not users.is_bootstrapped(db)
    except SQLAlchemyError as error:
        log.warning("setup.unknown", error=type(error).__name__)
        waiting = False
    finally:
        database.close()
    if waiting:
        # Not through the log, which blanks secrets: this one is for the person who reads it here.
        token = settings.resolve_setup_token()
        words = "First time? Open /welcome, which asks for the setup token (setupToken in the API)"
        print(f"{words}: {token}", flush=True)  # noqa: T201


def post_fork(server: Any, worker: Any) -> None:
    """A worker of its own connections: none of the parent's may be used by two processes."""
    app = worker.app.wsgi()
    runtime = app.extensions["medianest"].runtime
    runtime.database.forget()
    runtime.redis.connection_pool.reset()
    runtime.watch_settings()
    worker.malformed = malformed.Malformed(rate_limits.limiter_of(app), lambda: runtime.settings)
    worker.proxies = tuple(map(ip_network, settings.trusted_proxies))
