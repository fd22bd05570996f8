"""A person's watchlist at Plex: the films and series that they want to watch, and the ids of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from requests import Response

from engine.clients.foreign_json import objects
from engine.clients.gate import gate_of
from engine.clients.plex import answers
from engine.clients.plex.errors import TokenRefused
from engine.clients.plex.http import PlexConversation
from engine.clients.plex.paging import AT_ONCE, Endless, pages

WHO = "Plex's watchlist service"
SECONDS = 30.0  # of a conversation
_PLACES = 2  # conversations of a process that wait for an answer at once
_PAGE = 100
_PATH = "/library/sections/watchlist/all"


@dataclass(frozen=True)
class ReadList:
    """A watchlist as it was read.

    Attributes:
        items: as Plex sent them, in its order.
        etag: by which an unchanged list is known; None where it changed while it was read, or Plex gives none.
    """

    items: Sequence[Mapping[str, Any]]
    etag: str | None


class PlexWatchlist(PlexConversation):
    """A conversation about one person's watchlist; every call raises `PlexUnreachable` where there is no usable answer.

    Args:
        base: URL of the service.
        identifier: the name by which Plex knows this installation.
        token: of the person, for plex.tv.
    """

    def __init__(self, base: str, identifier: str, token: str) -> None:
        super().__init__(
            base,
            who=WHO,
            identifier=identifier,
            seconds=SECONDS,
            gate=gate_of(base, _PLACES),
            proxied=True,
        )
        self._token = token

    def listing(self, etag: str | None) -> ReadList | None:
        """The whole list; None where it has not changed since the answer with this `etag`.

        Raises:
            TokenRefused: the token does not hold any more.
        """
        first = self._part(0, _PAGE, etag)
        if first.status_code == 304:
            return None
        items, whole, started = list[Mapping[str, Any]](), True, False

        def ask(start: int, size: int) -> tuple[Sequence[Mapping[str, Any]], int | None, int | None]:
            nonlocal started
            answer = self._part(start, size, None) if started else first
            started = True
            found = self.read(answer, answers.either)
            return objects(found.get("Metadata")), _count(found.get("totalSize")), _count(found.get("offset"))

        try:
            for page in pages(ask, _PAGE):
                items += page.items
                whole = whole and page.joined
        except Endless:
            raise self.unusable("a list without an end") from None
        told = first.headers.get("ETag")
        return ReadList(items, told if whole else None)

    def details(self, rating_key: str) -> Mapping[str, Any] | None:
        """What Plex knows of a title, with its external ids as `Guid`; None where Plex does not have it any more.

        Raises:
            TokenRefused: the token does not hold any more.
        """
        answer = self._as_them(self.get(f"/library/metadata/{quote(rating_key, safe='')}", None, self._token))
        if answer.status_code == 404:
            return None
        entries = objects(self.read(answer, answers.either).get("Metadata"))
        return entries[0] if entries else None

    def _part(self, start: int, size: int, etag: str | None) -> Response:
        params = {"X-Plex-Container-Start": str(start), "X-Plex-Container-Size": str(size)}
        return self._as_them(self.get(_PATH, params, self._token, etag))

    def _as_them(self, answer: Response) -> Response:
        if answer.status_code in {401, 498}:
            raise TokenRefused
        return answer


def _count(value: Any) -> int | None:
    count = answers.count_of(value)
    return count if count is not None and count < AT_ONCE else None
