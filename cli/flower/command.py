"""`medianest flower`: shows workers and tasks to admins, by way of our web processes; asleep until somebody looks."""

from __future__ import annotations

import argparse
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress

import structlog

from cli.errors import CommandError
from config.logging import configure_logging
from config.settings import Settings
from engine.monitoring import flower_pass

PORT_SECONDS = 10.0  # between two looks at a port that is taken
IDLE_SECONDS = 900.0  # without a visitor, after which the memory is given back
HEAD_SECONDS = 1.0  # that a client may take to send its request head
_HEAD_BYTES = 16384
_REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

log = structlog.get_logger(__name__)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: it has none."""


def run(_args: argparse.Namespace, settings: Settings) -> int:
    """Serve at FLOWER_HOST and FLOWER_PORT until a signal ends the process.

    Raises:
        CommandError: there is no broker, or Flower is switched off.
    """
    if not settings.redis_url:
        raise CommandError("REDIS_URL is not set; `medianest up` starts Flower for the embedded Redis")
    if settings.flower_port == 0:
        raise CommandError("FLOWER_PORT is 0: Flower is switched off")
    configure_logging(settings)
    for signum in (signal.SIGTERM, signal.SIGINT):
        # At once: nothing is kept, and threads may be waiting for a broker that is away.
        signal.signal(signum, lambda _signum, _frame: os._exit(0))
    listener = _listen(settings)
    log.info("flower.ready", port=settings.flower_port)
    visitor = _visitor(listener, settings)
    # Only now: Celery and Flower take 25 MB that nobody needs while nobody looks.
    from cli.flower.pages import serve  # noqa: PLC0415

    log.info("flower.awake")
    serve(settings, listener, visitor, IDLE_SECONDS, _fall_asleep)
    return 0


def _listen(settings: Settings) -> socket.socket:
    """The listening socket; one that is taken is waited for, since nothing else depends on this process."""
    said = False
    while True:
        try:
            family, _, _, _, address = socket.getaddrinfo(
                settings.flower_host, settings.flower_port, type=socket.SOCK_STREAM
            )[0]
            listener = socket.create_server(address[:2], family=family)
        except OSError as error:
            if not said:
                log.warning("flower.cannot_listen", port=settings.flower_port, error=error.strerror)
            said = True
            time.sleep(PORT_SECONDS)
            continue
        listener.setblocking(False)
        return listener


def _visitor(listener: socket.socket, settings: Settings) -> socket.socket:
    """The connection of the first who has a pass; others are refused without waking anything."""
    while True:
        select.select([listener], [], [])
        with suppress(OSError):  # whoever left again
            connection, _ = listener.accept()
            if _has_pass(connection, settings):
                return connection
            with connection:
                connection.recv(_HEAD_BYTES)
                connection.sendall(_REFUSAL)


def _has_pass(connection: socket.socket, settings: Settings) -> bool:
    """Look at a request without taking it out: Flower reads it again."""
    connection.settimeout(HEAD_SECONDS)
    deadline = time.monotonic() + HEAD_SECONDS
    while not (head := connection.recv(_HEAD_BYTES, socket.MSG_PEEK)).endswith(b"\r\n\r\n"):
        if not head or len(head) == _HEAD_BYTES or time.monotonic() > deadline:
            return False
        time.sleep(0.01)  # the rest of it is under way
    request, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
    target = request.split(" ")[1] if request.count(" ") == 2 else ""
    return flower_pass.accepts(settings, headers.get(flower_pass.HEADER.lower(), ""), target)


def _fall_asleep() -> None:
    """Become a fresh process that waits for the next visitor."""
    log.info("flower.asleep")
    os.execv(sys.executable, [sys.executable, "-m", "cli.main", "flower"])  # noqa: S606 - ourselves
