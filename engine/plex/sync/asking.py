"""Queries of a sync to the server and the catalogue; an item that can't be answered costs that item alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import structlog
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from engine.clients.plex.library import (
    KEYS_AT_ONCE,
    Libraries,
    PlexGarbled,
    PlexGone,
    PlexLibrary,
    PlexUnauthorized,
    PlexUnreachable,
)
from engine.clients.plex.paging import key_of
from engine.plex.answers.parsing import TYPE_NUMBERS, Metadata
from engine.plex.recognition import recognition
from engine.plex.recognition.matching import Traits
from engine.plex.recognition.staging import Prints, Stage
from engine.plex.sync.leased_calls import Patience
from models.media import MediaItem

log = structlog.get_logger(__name__)

LOCAL = (PlexUnreachable, PlexGarbled, PlexUnauthorized)  # errors that one item may cause, not the server
MOST_SILENT = 20  # unanswered items of one query after which the rest is not asked for


class Asking:
    """The queries that all passes share.

    Args:
        library: the server.
        patience: waits for it.
        stage: the staging table for what differs.
        server_id: of the server.
    """

    def __init__(self, library: PlexLibrary, patience: Patience, stage: Stage, server_id: str) -> None:
        self.library, self.patience, self.stage, self.server_id = library, patience, stage, server_id
        self.silent: set[str] = set()  # keys that the server did not answer for: neither present nor gone

    def libraries(self) -> Libraries:
        """The libraries of the server.

        Raises:
            PlexError: one of its kinds.
        """
        return self.patience.call(self.library.libraries)

    def absent(self, known: Collection[str], listed: Libraries) -> set[str]:
        """The known libraries that are gone: no longer listed, and 404 when each is asked for."""
        left = set(known) - {str(entry["key"]) for entry in listed.entries}
        gone = {key for key in left if listed.whole and self._is_absent(key)}
        if left - gone:
            log.warning("sync.libraries_not_listed", keys=sorted(left - gone))
        return gone

    def items(self, keys: Sequence[str]) -> list[Metadata]:
        """The items with these keys; those that are gone are missing, those without an answer are `silent` too.

        A key is gone when the server answers 404 for it alone, or a few keys with none of them: some servers refuse a
        list because one of its keys is gone, others shorten it.

        Raises:
            PlexError: one of its kinds, where the server itself has failed.
        """
        found, silent = list[Metadata](), set[str]()
        groups = [list(keys[start : start + KEYS_AT_ONCE]) for start in range(0, len(keys), KEYS_AT_ONCE)]
        while groups:
            some = groups.pop()
            if len(silent) >= MOST_SILENT:
                silent.update(some)
                continue
            try:
                told = self.patience.call(self.library.items, some)
            except PlexGone:
                groups += _halves(some)
                continue
            except LOCAL:
                self.libraries()  # an error of these keys, as long as the server answers for others
                told = [{}]
            found += [item for item in told if key_of(item) is not None]
            there = {key_of(item) for item in told}
            left = [key for key in some if key not in there]
            if left and len(left) < len(some):
                groups.append(left)
            elif None in there:  # empty or unreadable
                groups += _halves(left)
                silent.update(left if len(left) == 1 else ())
        self.silent |= silent
        return found

    def denied(self, keys: Sequence[str]) -> list[str]:
        """The keys that the server answers 404 for, asked one by one."""
        there = {key_of(item) for item in self.items(keys)}
        return [key for key in keys if key not in there and key not in self.silent]

    def replaced(self, present: Collection[str]) -> list[Traits]:
        """Known items that were matched with staged ones under new keys."""
        return recognition.seek(self.stage, self.server_id, self.items, present, self.silent)

    def contested(self) -> bool:
        """Whether a key that was listed is another item's than before."""
        with Session(self.stage.connection) as db:
            return recognition.contested(db, self.stage, self.server_id)

    def prints(self, *which: ColumnElement[bool]) -> dict[str, Prints]:
        """Keys and fingerprints of live items."""
        columns = MediaItem.rating_key, MediaItem.hash, MediaItem.listed_hash
        query = select(*columns).where(*live(self.server_id), *which)
        with self.stage.connection.begin():
            return {row[0]: (row[1], row[2]) for row in self.stage.connection.execute(query)}

    def start_over(self) -> None:
        """Replace the staging table, whose content is unknown after a failed transaction."""
        self.stage.close()
        self.stage = Stage(self.stage.connection)

    def _is_absent(self, library: str) -> bool:
        try:
            self.patience.call(self.library.count, library, TYPE_NUMBERS["movie"])
        except PlexGone:
            return True
        except LOCAL:
            self.libraries()
        return False


def live(server_id: str) -> tuple[ColumnElement[bool], ...]:
    """Which items of a server are not deleted."""
    return MediaItem.server_id == server_id, MediaItem.deleted_at.is_(None)


def _halves(keys: list[str]) -> list[list[str]]:
    """The keys in two halves; empty for a single key, which has been asked for alone."""
    middle = len(keys) // 2
    return [keys[:middle], keys[middle:]] if middle else []
