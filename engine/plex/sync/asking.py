"""What each part of a sync asks of the server and the catalogue; what can't be answered costs that item alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import structlog
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from engine.clients.plex.errors import PlexGarbled, PlexGone, PlexUnauthorized, PlexUnreachable
from engine.clients.plex.library import KEYS_AT_ONCE, Libraries, PlexLibrary
from engine.clients.plex.paging import key_of
from engine.plex.answers.parsing import TYPE_NUMBERS, Metadata
from engine.plex.recognition import recognition
from engine.plex.recognition.matching import Traits
from engine.plex.recognition.staging import Prints, Stage
from engine.plex.sync.leased_calls import Patience
from models.media import MediaItem

log = structlog.get_logger(__name__)

LOCAL = (PlexUnreachable, PlexGarbled, PlexUnauthorized)  # perhaps the failure of one thing, not the server's
MOST_SILENT = 20  # items of one question that get no answer; then the rest is not asked for


class Asking:
    """What every pass asks of the server and the catalogue.

    Args:
        library: the server.
        patience: waits for it.
        stage: where what differs is put.
        server_id: of the server.
    """

    def __init__(self, library: PlexLibrary, patience: Patience, stage: Stage, server_id: str) -> None:
        self.library, self.patience, self.stage, self.server_id = library, patience, stage, server_id
        self.silent: set[str] = set()  # keys for which the server has had no answer: neither there nor gone

    def libraries(self) -> Libraries:
        """The libraries of the server.

        Raises:
            PlexError: one of its kinds.
        """
        return self.patience.call(self.library.libraries)

    def absent(self, known: Collection[str], listed: Libraries) -> set[str]:
        """Which of the libraries that we know are gone: not in the list any more, and denied when each is asked for."""
        left = set(known) - {str(entry["key"]) for entry in listed.entries}
        gone = {key for key in left if listed.whole and self._is_absent(key)}
        if left - gone:
            log.warning("sync.libraries_not_listed", keys=sorted(left - gone))
        return gone

    def items(self, keys: Sequence[str]) -> list[Metadata]:
        """The items with these keys; those that are gone are missing, those without an answer are `silent` too.

        A key is gone when the server says no to it alone, or answers a few keys with none of them: a list is refused
        by some servers because one of its keys is gone, and cut short by others.

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
                self.libraries()  # it is about these keys, as long as the server has an answer to others
                told = [{}]
            found += [item for item in told if key_of(item) is not None]
            there = {key_of(item) for item in told}
            left = [key for key in some if key not in there]
            if left and len(left) < len(some):
                groups.append(left)
            elif None in there:  # nothing came, or what we can't read
                groups += _halves(left)
                silent.update(left if len(left) == 1 else ())
        self.silent |= silent
        return found

    def denied(self, keys: Sequence[str]) -> list[str]:
        """Which of these keys the server does not know, asked for each of them."""
        there = {key_of(item) for item in self.items(keys)}
        return [key for key in keys if key not in there and key not in self.silent]

    def replaced(self, present: Collection[str]) -> list[Traits]:
        """Items that are newly staged ones by now: the server does not have them any more under their key."""
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
        """Take another staging table: of this one nobody knows what is left, where a transaction with it has failed."""
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
    """The keys in two parts; nothing of one key, which has been asked for alone."""
    middle = len(keys) // 2
    return [keys[:middle], keys[middle:]] if middle else []
