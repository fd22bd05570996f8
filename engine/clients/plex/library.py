"""Lists what a Plex server has: raw JSON over one kept connection, a seventh of the cost of plexapi's objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from engine.clients.http import Limits
from engine.clients.plex import answers, paging
from engine.clients.plex.answers import count_of, rows
from engine.clients.plex.errors import PlexGarbled, PlexGone
from engine.clients.plex.http import PlexClient
from engine.clients.plex.paging import Endless, ListingPage

PAGE = paging.PAGE
KEYS_AT_ONCE = 100
NEWEST = 100  # items of a listing that are looked through for one that was just added
MOST_BYTES = 512 << 20  # a server that ignores paging sends a whole library at once
_LIMITS = Limits(connect=5.0, silence=30.0, total=None, size=MOST_BYTES)
_LONGEST_KEY = 200


@dataclass(frozen=True)
class Libraries:
    """The libraries of a server that it describes well enough; `whole` where it does so of each in its list."""

    entries: Sequence[Mapping[str, Any]]
    whole: bool = True


class PlexLibrary(PlexClient):
    """A server's library, each answer for as long as it comes; see `PlexClient`."""

    def __init__(self, url: str, token: str, client_id: str, *, verify: bool = True) -> None:
        super().__init__(url, token, client_id, _LIMITS, verify=verify)

    def identity(self) -> Mapping[str, Any]:
        """Who the server is (`machineIdentifier`, `version`); needs no token."""
        found = answers.fields(self.body("/identity", {}))
        if not found.get("machineIdentifier"):
            raise PlexGarbled("The server does not say who it is.")
        return found

    def libraries(self) -> Libraries:
        """All libraries; one that has no key or type costs no other."""
        listed = rows(self.container("/library/sections").get("Directory"))
        entries = [entry for entry in listed if _is_library(entry)]
        return Libraries(entries, len(entries) == len(listed))

    def count(self, section: str, number: int, **query: Any) -> int | None:
        """How many items of a type a library has; None where the server does not say."""
        answer = self.container(
            f"/library/sections/{section}/all",
            type=number,
            **{"X-Plex-Container-Start": 0, "X-Plex-Container-Size": 0},
            **query,
        )
        total = count_of(answer.get("totalSize"))
        return len(answer["Metadata"]) if total is None and rows(answer.get("Metadata")) else total

    def pages(self, path: str, size: int | None = None, **query: Any) -> Iterator[ListingPage]:
        """A listing, page by page, with `size` items a page; see `paging`."""

        def ask(start: int, number: int) -> tuple[Sequence[Mapping[str, Any]], int | None, int | None]:
            part = {"X-Plex-Container-Start": start, "X-Plex-Container-Size": number}
            answer = self.container(path, **part, **query)
            return (
                rows(answer.get("Metadata")),
                count_of(answer.get("totalSize")),
                count_of(answer.get("offset")),
            )

        try:
            yield from paging.pages(ask, size or PAGE)
        except Endless:
            raise PlexGarbled("The server's list has no end.") from None

    def listing(
        self, section: str, number: int, size: int | None = None, **query: Any
    ) -> Iterator[ListingPage]:
        """The items of a type in a library, oldest first, so that what is added meanwhile comes at the end."""
        return self.pages(
            f"/library/sections/{section}/all",
            size,
            type=number,
            includeGuids=1,
            sort="addedAt:asc",
            **query,
        )

    def items(self, keys: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """The items with these rating keys, at most `KEYS_AT_ONCE`; what is no item at all is an empty one.

        Raises:
            PlexGone: it has none of them, or, some servers, not all of them.
        """
        some = ",".join(quote(key, safe="") for key in keys)
        return rows(self.container(f"/library/metadata/{some}", includeGuids=1).get("Metadata"))

    def newest(self, section: str, number: int, order: str) -> Sequence[Mapping[str, Any]]:
        """The first items of a type in a library, in an order such as `addedAt:desc`.

        Raises:
            PlexError: one of its kinds.
        """
        answer = self.container(
            f"/library/sections/{section}/all",
            type=number,
            sort=order,
            **{"X-Plex-Container-Start": 0, "X-Plex-Container-Size": NEWEST},
        )
        return rows(answer.get("Metadata"))

    def item(self, rating_key: str) -> Mapping[str, Any] | None:
        """One item, its files checked by the server this moment; None where it has no such item.

        Raises:
            PlexError: one of its kinds.
        """
        try:
            answer = self.container(f"/library/metadata/{rating_key}", checkFiles=1)
        except PlexGone:
            return None
        return next(iter(rows(answer.get("Metadata"))), None)


def _is_library(entry: Mapping[str, Any]) -> bool:
    key, kind = entry.get("key"), entry.get("type")
    named = isinstance(key, str | int) and bool(key) and len(str(key)) <= _LONGEST_KEY
    return named and isinstance(kind, str) and bool(kind)
