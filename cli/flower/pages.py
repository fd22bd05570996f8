"""What `medianest flower` serves, once somebody looks: Flower behind a gate that lets nothing but looking pass."""

from __future__ import annotations

import logging
import re
import socket
import time
import warnings
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import flower.urls
import structlog
from celery.exceptions import SecurityWarning
from flower.app import Flower
from flower.events import Events
from flower.options import default_options
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.iostream import IOStream
from tornado.web import ErrorHandler, StaticFileHandler

from config.celery import make_celery
from config.settings import Settings
from engine.monitoring import flower_pass

EVENTS_SECONDS = 2.0  # between two tries to hear the workers while Redis is away
GREETING_SECONDS = 4.0  # for the first visitor: each worker is heard of every two
TASKS = 1000  # remembered

# Pages and what they load. What is not here does not exist: no API, no metrics, no control, no login of its own.
_PAGES = re.compile(
    re.escape(flower_pass.PREFIX)
    + r"(workers|worker/[^/]+|tasks|tasks/datatable|task/[^/]+|broker|static/[^?]*)?(\?.*)?"
)
_BY_POST = b"type: 'POST',\n                url: url_prefix() + '/tasks/datatable'"
_BY_GET = _BY_POST.replace(b"POST", b"GET")

log = structlog.get_logger(__name__)


def serve(
    settings: Settings,
    listener: socket.socket,
    visitor: socket.socket,
    idle_seconds: float,
    fall_asleep: Callable[[], None],
) -> None:
    """Serve, first `visitor` and then whoever comes to `listener`.

    After `idle_seconds` without a visitor `fall_asleep` is called, which does not return.
    """
    warnings.filterwarnings("ignore", category=SecurityWarning)  # as the workers do
    # Nobody answers in time while workers start: Flower asks again at the next visit.
    logging.getLogger("flower.inspector").setLevel(logging.ERROR)
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL)  # our door logs what matters
    application = _application(settings)
    began = time.monotonic()

    def open_door() -> None:
        visitor.setblocking(False)
        server = HTTPServer(application)
        server.handle_stream(IOStream(visitor), visitor.getpeername())
        server.add_socket(listener)

    def greet() -> None:
        """Open once the workers have been heard of, so that the first visitor sees them."""
        if application.events.state.workers:
            # A beat of every worker may be up to two seconds away from the first one's.
            application.io_loop.call_later(2.0, open_door)
        elif time.monotonic() - began < GREETING_SECONDS:
            application.io_loop.call_later(0.1, greet)
        else:
            open_door()

    def look_around() -> None:
        if time.monotonic() - application.visited_at > idle_seconds:
            fall_asleep()

    application.io_loop.add_callback(greet)
    PeriodicCallback(look_around, min(idle_seconds, 60.0) * 1000).start()
    application.start()


def _application(settings: Settings) -> ReadOnlyFlower:
    prefix = flower_pass.PREFIX.rstrip("/")
    default_options.url_prefix = prefix
    default_options.read_only = True
    default_options.purge_offline_workers = 3600
    capp = make_celery(settings)
    events = PatientEvents(capp, IOLoop.current(), max_tasks_in_memory=TASKS)
    own = {
        "static_url_prefix": f"{prefix}/static/",
        "login_url": f"{prefix}/",
        "static_handler_class": Static,
    }
    return ReadOnlyFlower(
        settings, capp=capp, options=default_options, events=events, **flower.urls.settings | own
    )


class ReadOnlyFlower(Flower):  # type: ignore[misc]
    """Flower behind one gate: the pass, GET, and the list of pages."""

    def __init__(self, medianest: Settings, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._medianest = medianest
        self.visited_at = time.monotonic()

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Every request comes by here, before any handler sees it."""
        status = self._refusal(request)
        if status is not None:
            return self.get_handler_delegate(request, ErrorHandler, {"status_code": status})
        return super().find_handler(request, **kwargs)

    def _refusal(self, request: HTTPServerRequest) -> int | None:
        target = request.uri or ""
        if not flower_pass.accepts(self._medianest, request.headers.get(flower_pass.HEADER, ""), target):
            return 403
        self.visited_at = time.monotonic()
        if request.method != "GET":
            return 405
        return None if _PAGES.fullmatch(target) else 404


class PatientEvents(Events):  # type: ignore[misc]
    """The workers' events; Flower's own pauses double without end while the broker is away."""

    def run(self) -> None:
        """Listen for as long as the process lives."""
        while True:
            try:
                with self.capp.connection() as connection:
                    receiver = self.capp.events.Receiver(connection, handlers={"*": self.on_event})
                    receiver.capture(limit=None, timeout=None, wakeup=True)
            except Exception as error:  # noqa: BLE001 - kombu, redis-py and the socket raise many kinds
                log.warning("flower.broker_away", error=type(error).__name__)
            time.sleep(EVENTS_SECONDS)


class Static(StaticFileHandler):
    """Flower's files; its page of tasks asks by GET, since nothing else is let through."""

    @classmethod
    def get_content(
        cls, abspath: str, start: int | None = None, end: int | None = None
    ) -> Generator[bytes, None, None]:
        """The whole file, or a part of it."""
        yield _static(abspath)[start:end]

    def get_content_size(self) -> int:
        """Its length."""
        return len(_static(str(self.absolute_path)))


def _static(path: str) -> bytes:
    return Path(path).read_bytes().replace(_BY_POST, _BY_GET)
