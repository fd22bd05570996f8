"""Lists what a Plex server has: raw JSON over one kept connection, a seventh of the cost of plexapi's objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from engine.clients.foreign_json import NotJson, decoded
from engine.clients.plex import identity as plex
from engine.clients.plex import paging as plex_paging
from engine.clients.plex.paging import Endless, Page
from engine.clients.typed_addresses import TypedAddressAdapter

PAGE = plex_paging.PAGE
KEYS_AT_ONCE = 100
MOST_BYTES = 512 << 20  # a server that ignores paging sends a whole library at once
_CONNECT_SECONDS, _READ_SECONDS = 5.0, 30.0
_CHUNK = 1 << 20
_LONGEST_KEY = 200


class PlexError(Exception):
    """A call failed; `kind` is a word for programs, the text is for people and never holds a token or address."""

    kind = "unreachable"


class PlexUnreachable(PlexError):
    """Nobody answers, or the server is not ready."""


class PlexTls(PlexUnreachable):
    """There is somebody, whose certificate is not valid for this address."""

    kind = "tls"


class PlexUnauthorized(PlexError):
    """The token is not good (any more)."""

    kind = "unauthorized"


class PlexGone(PlexError):
    """It has no such thing."""

    kind = "gone"


class PlexGarbled(PlexError):
    """It answers something that is no answer of Plex."""

    kind = "garbled"


@dataclass(frozen=True)
class Libraries:
    """The libraries of a server that it describes well enough; `whole` where it does so of each in its list."""

    entries: Sequence[Mapping[str, Any]]
    whole: bool = True


class PlexLibrary:
    """A server's library; not for several threads at once.

    Args:
        url: of the server.
        token: of its owner.
        client_id: by which Plex knows this installation.
        verify: whether certificates are checked.
    """

    def __init__(self, url: str, token: str, client_id: str, *, verify: bool = True) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = (
            False  # a proxy of the environment has no business between us and the server
        )
        self._session.verify = verify
        self._session.mount("http://", TypedAddressAdapter())
        self._session.mount("https://", TypedAddressAdapter())
        self._session.headers.update(
            {
                "Accept": "application/json",
                "X-Plex-Token": token,
                "X-Plex-Client-Identifier": client_id,
                "X-Plex-Product": "MediaNest",
            }
        )

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def container(self, path: str, **query: Any) -> Mapping[str, Any]:
        """The `MediaContainer` of an answer.

        Raises:
            PlexError: one of its kinds.
        """
        return _container(self._get(path, query))

    def identity(self) -> Mapping[str, Any]:
        """Who the server is (`machineIdentifier`, `version`); needs no token."""
        try:
            found = plex.container_of(self._get("/identity", {}))
        except plex.Malformed:
            raise PlexGarbled("What answers is not a Plex server.") from None
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
        total = _total(answer)
        return len(answer["Metadata"]) if total is None and rows(answer.get("Metadata")) else total

    def pages(self, path: str, size: int | None = None, **query: Any) -> Iterator[Page]:
        """A listing, page by page, with `size` items a page; see `plex_paging`."""

        def ask(start: int, number: int) -> tuple[Sequence[Mapping[str, Any]], int | None, int | None]:
            part = {"X-Plex-Container-Start": start, "X-Plex-Container-Size": number}
            answer = self.container(path, **part, **query)
            return rows(answer.get("Metadata")), _total(answer), count_of(answer.get("offset"))

        try:
            yield from plex_paging.pages(ask, size or PAGE)
        except Endless:
            raise PlexGarbled("The server's list has no end.") from None

    def listing(self, section: str, number: int, size: int | None = None, **query: Any) -> Iterator[Page]:
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

    def _get(self, path: str, query: Mapping[str, Any]) -> bytes:
        try:
            with self._session.get(
                self._url + path,
                params=dict(query),
                timeout=(_CONNECT_SECONDS, _READ_SECONDS),
                stream=True,
                allow_redirects=False,
            ) as answer:
                _check(answer)
                parts, size = [], 0
                for part in answer.iter_content(_CHUNK):
                    size += len(part)
                    if size > MOST_BYTES:
                        raise PlexGarbled("The server's answer is too long.")
                    parts.append(part)
                return b"".join(parts)
        except requests.exceptions.SSLError:
            raise PlexTls("The server's certificate is not valid for this address.") from None
        except requests.exceptions.Timeout:
            raise PlexUnreachable("The server does not answer in time.") from None
        except requests.exceptions.RequestException:
            raise PlexUnreachable("The server can't be reached.") from None


def _check(answer: requests.Response) -> None:
    status = answer.status_code
    if status in {401, 403}:
        raise PlexUnauthorized("The server does not accept the token.")
    if status == 404:
        raise PlexGone("The server has no such thing.")
    if status >= 500:
        raise PlexUnreachable(f"The server is not ready (status {status}).")
    if status != 200:
        raise PlexGarbled(f"The server refuses (status {status}).")


def _container(body: bytes) -> Mapping[str, Any]:
    try:
        found = decoded(body)["MediaContainer"]
    except (NotJson, KeyError, TypeError):
        raise PlexGarbled("The server's answer is cut short, or no JSON of Plex.") from None
    if not isinstance(found, Mapping):
        raise PlexGarbled("The server's answer is no answer of Plex.")
    return found


def rows(found: Any) -> Sequence[Mapping[str, Any]]:
    """The entries of a list in an answer, each at its place; one that is no object is an empty one.

    Raises:
        PlexGarbled: it is no list.
    """
    if found is None:
        return []
    if not isinstance(found, list):
        raise PlexGarbled("The server's answer is no answer of Plex.")
    if all(isinstance(entry, dict) for entry in found):
        return found
    return [entry if isinstance(entry, dict) else {} for entry in found]


def _is_library(entry: Mapping[str, Any]) -> bool:
    key, kind = entry.get("key"), entry.get("type")
    named = isinstance(key, str | int) and bool(key) and len(str(key)) <= _LONGEST_KEY
    return named and isinstance(kind, str) and bool(kind)


def _total(answer: Mapping[str, Any]) -> int | None:
    return count_of(answer.get("totalSize"))


def count_of(value: Any) -> int | None:
    """A count in an answer; None where there is none."""
    text = str(value) if isinstance(value, int | str) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
