"""Live queries to a Plex server during a request: each is bounded in time and in bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.clients.http import Limits
from engine.clients.plex.answers import count_of, rows
from engine.clients.plex.http import PlexClient

SECONDS = 8.0  # of one question
MOST_JSON = 8 << 20
_CONNECT_SECONDS = 3.0


class PlexQuestions(PlexClient):
    """A few questions to one server, each within `seconds`; see `PlexClient`."""

    def __init__(
        self, url: str, token: str, client_id: str, *, verify: bool = True, seconds: float = SECONDS
    ) -> None:
        limits = Limits(connect=_CONNECT_SECONDS, silence=seconds, total=seconds, size=MOST_JSON)
        super().__init__(url, token, client_id, limits, verify=verify)

    def page(
        self, path: str, query: Mapping[str, Any], name: str = "Metadata"
    ) -> tuple[list[Mapping[str, Any]], int | None]:
        """The entries of a list in a container (see `rows`), and how many the whole list has, where it is told.

        Raises:
            PlexError: one of its kinds.
        """
        answer = self.container(path, **query)
        return list(rows(answer.get(name))), count_of(answer.get("totalSize"))
