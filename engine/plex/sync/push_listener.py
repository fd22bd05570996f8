"""Listens to push notifications of the server, in one process of all: changes are synced within seconds.

A push only shortens the wait: after each connection an incremental sync catches up with what was missed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from threading import Event as Flag
from typing import Any

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from engine.clients.plex import push as plex_notifications
from engine.clients.plex.library import PlexError
from engine.errors import ServiceUnavailable
from engine.plex.server import connection
from engine.plex.server.connection import PlexConnection
from engine.plex.sync import runs as sync
from engine.runtime import Runtime

log = structlog.get_logger(__name__)

QUIET_SECONDS = 2.0  # Plex sends several notifications for one item while it processes it
LONGEST_WAIT_SECONDS = 10.0
SETTINGS_SECONDS = 10.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0

_LOCK = 7_240_414  # any number that nobody else uses for an advisory lock
_TYPES = {1, 2, 3, 4}  # movie, show, season, episode
_READY, _DELETED = 5, 9  # states of a timeline entry
_MOST_DIGITS = 18


class Batch:
    """Rating keys from notifications, debounced."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._first = self._last = 0.0

    def add(self, keys: set[str]) -> None:
        """Remember keys."""
        if keys:
            self._last = time.monotonic()
            self._first = self._first if self._keys else self._last
            self._keys |= keys

    def due(self) -> set[str]:
        """The keys, once no new ones came for long enough; empty before."""
        now = time.monotonic()
        if not self._keys or (now - self._last < QUIET_SECONDS and now - self._first < LONGEST_WAIT_SECONDS):
            return set()
        keys, self._keys = self._keys, set()
        return keys


class Listener:
    """The listener of a process; of several, the one that holds an advisory lock listens.

    Args:
        runtime: for the database.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._ended = Flag()
        self._failures = 0  # in a row

    def end(self) -> None:
        """Stop soon."""
        self._ended.set()

    def run(self) -> None:
        """Listen and reconnect until `end()`."""
        pause = FIRST_PAUSE_SECONDS
        while not self._ended.wait(pause):
            pause = FIRST_PAUSE_SECONDS
            try:
                if not self._listen():
                    pause = SETTINGS_SECONDS
            except PlexError as error:
                pause = min(LONGEST_PAUSE_SECONDS, self._failed(error))
            except SQLAlchemyError as error:
                log.warning("plex.listener_database_away", error=type(error).__name__)
                pause = SETTINGS_SECONDS
            except ServiceUnavailable as error:
                log.warning("plex.listener_not_configured", reason=error.message)
                pause = LONGEST_PAUSE_SECONDS
            except Exception:  # a bug here must not end the listener for good
                log.exception("plex.listener_bug")
                pause = LONGEST_PAUSE_SECONDS

    def _failed(self, error: PlexError) -> float:
        self._failures += 1
        if self._failures == 1:
            log.warning("plex.listener_lost", reason=str(error))
        return FIRST_PAUSE_SECONDS * 2.0 ** min(10, self._failures)

    def _listen(self) -> bool:
        """Listen until the configuration changes or the connection breaks; False where another process listens."""
        configured = self._configured()
        if configured is None:
            return False
        with self._runtime.database.engine.connect() as guard:
            guard = guard.execution_options(isolation_level="AUTOCOMMIT")
            if not guard.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}):
                return False
            try:
                self._hear(configured, guard)
            finally:
                with suppress(SQLAlchemyError):
                    guard.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
        return True

    def _hear(self, configured: PlexConnection, guard: Connection) -> None:
        batch, check_at, connected = Batch(), 0.0, False
        for message in plex_notifications.messages(
            configured.url, configured.token, configured.client_id, verify=configured.verify
        ):
            if self._ended.is_set():
                return
            if not connected:
                connected, self._failures = True, 0
                log.info("plex.listener_connected")
                self._sync(None)
            elif message is not None:
                batch.add(named(message))
            keys = batch.due()
            if keys:
                self._sync(sorted(keys))
            if time.monotonic() > check_at:
                check_at = time.monotonic() + SETTINGS_SECONDS
                guard.execute(text("SELECT 1"))  # a lost session would mean a lost lock
                if self._configured() != configured:
                    return

    def _configured(self) -> PlexConnection | None:
        with self._runtime.unit_of_work() as db:
            return connection.configured(db, self._runtime.settings)

    def _sync(self, keys: list[str] | None) -> None:
        with self._runtime.unit_of_work() as db:
            run, new = sync.start(db, full=False, trigger="push", rating_keys=keys)
        log.info("plex.pushed", sync=run.id, new=new, items=None if keys is None else len(keys))


def named(message: Mapping[str, Any]) -> set[str]:
    """The rating keys that a notification reports as processed or deleted."""
    if message.get("type") != "timeline":
        return set()
    entries = message.get("TimelineEntry")
    return {
        str(entry["itemID"])
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, Mapping)
        and str(entry.get("identifier", "com.plexapp.plugins.library")) == "com.plexapp.plugins.library"
        and _number(entry.get("type")) in _TYPES
        and _number(entry.get("state")) in {_READY, _DELETED}
        and _number(entry.get("itemID")) is not None
    }


def _number(value: object) -> int | None:
    text = str(value) if isinstance(value, str | int) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else None
