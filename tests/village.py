"""A house with Plex, TMDB and Overseerr, all of them doubles; and its jobs run here, one after another."""

from __future__ import annotations

from dataclasses import dataclass

from catalogues import synced
from door import Door
from sqlalchemy import text

from engine.jobs.runner import run_next
from engine.media_requests import announcing, availability_pass, upstream
from engine.media_requests.fulfilment import work as fulfilment_work
from engine.runtime import Runtime
from tests.fakes.overseerr_server import OverseerrDouble
from tests.fakes.plex_server import PlexDouble
from tests.fakes.tmdb_server import TmdbDouble


@dataclass
class Village:
    """Everything that requests have to do with."""

    door: Door
    plex: PlexDouble
    tmdb: TmdbDouble
    overseerr: OverseerrDouble

    @property
    def runtime(self) -> Runtime:
        return self.door.runtime

    def sync(self, *, full: bool = False) -> None:
        """Plex tells what it has, and requests follow."""
        synced(self.runtime, full=full)
        availability_pass.check(self.runtime)
        self.work()

    def compare(self) -> int:
        """Look at what is at Overseerr."""
        changed = upstream.compare(self.runtime)
        self.work()
        return changed

    def work(self) -> None:
        """Run the jobs of requests until none is due."""
        while run_next(self.runtime, fulfilment_work.FULFIL, fulfilment_work.work) or run_next(
            self.runtime, announcing.ANNOUNCE, announcing.work
        ):
            pass

    def notices(self, user_id: str) -> list[tuple[str, str]]:
        """What somebody was told: types and titles, the oldest first."""
        with self.runtime.reading() as db:
            query = text("SELECT type, title FROM notifications WHERE user_id = :id ORDER BY id")
            return [(row.type, row.title) for row in db.execute(query, {"id": user_id})]
