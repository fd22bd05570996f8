"""Searches a Plex server for a download's file: the server's identity, the file's library, the item that has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import select

from engine.arrivals import reasons as arrival_reasons
from engine.arrivals.reasons import Reason
from engine.clients.plex import actions, answers
from engine.clients.plex.errors import PlexError, PlexGarbled, PlexUnreachable
from engine.clients.plex.library import PlexLibrary
from engine.formats import AUDIO_FORMATS
from engine.jobs.runner import Attempt
from engine.plex.server import libraries, paths
from engine.plex.server.connection import PlexConnection
from engine.plex.server.paths import FileInLibrary
from engine.plex.sync.leased_calls import LeasedCalls
from engine.storage.layout import STAGING
from models.download import Download
from models.media import MediaItem
from models.plex_arrival import PlexArrival

Item = Mapping[str, Any]

_SCAN_SECONDS = 15.0  # a busy server answers a scan request late
# By library type, Plex's type number of the items that have files.
_TYPES = {"movie": 1, "show": 4, "artist": 10}


class OtherServer(PlexGarbled):
    """The configured address answers with another machine identifier."""

    kind = "other_server"


class Search:
    """The search for one download's file on one server.

    Args:
        attempt: its lease is renewed during requests.
        configured: the server.
        library: its client.
        download: a completed one.
    """

    def __init__(
        self,
        attempt: Attempt[PlexArrival],
        configured: PlexConnection,
        library: PlexLibrary,
        download: Download,
    ) -> None:
        assert download.file is not None
        self._runtime, self._calls = attempt.runtime, LeasedCalls(attempt)
        self._configured, self._library = configured, library
        self._root = self._runtime.settings.download_dir
        self._path = self._root / download.file["path"]
        self._audio = download.format in AUDIO_FORMATS
        self.server_id = ""

    def places(self) -> list[FileInLibrary]:
        """The libraries that contain the file's path; of several, those whose type fits it (video or audio).

        Raises:
            PlexError: one of its kinds.
        """
        identity = self._calls.call(self._library.identity)
        self.server_id = str(identity["machineIdentifier"])
        if self._configured.machine_id not in {None, self.server_id}:
            raise OtherServer("Another Plex server answers at the address of ours.")
        sections = self._calls.call(self._library.libraries).entries
        with self._runtime.unit_of_work() as db:
            libraries.answered(db, self.server_id)
        found = paths.places(str(self._path), sections, self._configured.paths)
        wanted = {"artist"} if self._audio else {"movie", "show"}
        return [place for place in found if place.section.get("type") in wanted] or found[:1]

    def item(self, place: FileInLibrary) -> Item | None:
        """The item that has the file, by the server's present answers; None if none has it readable.

        Raises:
            PlexError: one of its kinds, if no item has it and the request for at least one item failed.
        """
        unanswered: PlexError | None = None
        for key in self._candidates(place):
            try:
                item = self._calls.call(self._library.item, key)
            except (PlexUnreachable, PlexGarbled) as error:
                unanswered = error  # another item may have the file too
                continue
            part = item and _part(item, place.path)
            if part and answers.readable(part):
                return item
        if unanswered is not None:
            raise unanswered
        return None

    def why_not(self, place: FileInLibrary) -> Reason:
        """Why the server does not have the file.

        Raises:
            PlexError: one of its kinds.
        """
        return arrival_reasons.why_missing(
            place,
            self._path,
            audio=self._audio,
            seen=next(self._candidates(place), None) is not None,
            gone=(self._root / STAGING).is_dir() and not self._path.exists(),
        )

    def _candidates(self, place: FileInLibrary) -> Iterator[str]:
        """Rating keys of items that may have the file: from the catalogue, then from the server's newest items."""
        known = select(MediaItem.rating_key).where(
            MediaItem.file == place.path,
            MediaItem.server_id == self.server_id,
            MediaItem.deleted_at.is_(None),
        )
        with self._runtime.unit_of_work() as db:
            keys = db.scalars(known).all()
        yield from keys
        number = _TYPES.get(str(place.section.get("type")))
        if number is None:
            return
        section = str(place.section["key"])
        # A file that was added to an older item as a second version shows up by `updatedAt` only.
        for order in ("addedAt:desc", "updatedAt:desc"):
            for item in self._calls.call(self._library.newest, section, number, order):
                if item.get("ratingKey") and _part(item, place.path):
                    yield str(item["ratingKey"])


def scan(configured: PlexConnection, place: FileInLibrary) -> None:
    """Have the server scan the folder of a file.

    Raises:
        PlexError: one of its kinds.
    """
    with configured.questions(seconds=_SCAN_SECONDS) as plex:
        actions.scan(plex, str(place.section["key"]), place.folder)


def _part(item: Item, path: str) -> Mapping[str, Any] | None:
    """The item's media part whose file is at this path of the server."""
    parts = answers.parts(item)
    return next((part for part in parts if paths.same(str(part.get("file") or ""), path)), None)
