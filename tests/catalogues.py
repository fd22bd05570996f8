"""A door whose catalogue was filled by a real sync with a doubled Plex server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from door import Door, opened

from config.settings import Settings
from engine.jobs.runner import run_next
from engine.plex.sync import runs as sync
from engine.plex.sync import work as sync_work
from engine.plex.watching import work as watch_work
from engine.runtime import Runtime
from tests.fakes.plex_server import PlexDouble


def synced(runtime: Runtime, **how: Any) -> None:
    """Run one sync to its end."""
    with runtime.unit_of_work() as db:
        run, _ = sync.start(db, full=how.pop("full", False), trigger="manual", **how)
    run_next(runtime, sync_work.SYNC, sync_work.work)
    with runtime.reading() as db:
        ended = sync.get(db, run.id)
        assert ended.status == "completed", ended.error


def watch_states_refreshed(runtime: Runtime) -> None:
    """Run every refresh of watch states that is due."""
    while run_next(runtime, watch_work.WATCH_REFRESH, watch_work.work):
        pass


@contextmanager
def connected(settings: Settings, plex: PlexDouble, **changes: Any) -> Iterator[Door]:
    """A door that is connected with the double; nothing is synced yet."""
    with opened(settings, plex_url=plex.url, plex_token=plex.token, **changes) as door:
        yield door
