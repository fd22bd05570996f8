"""Lists what a Plex server has: raw JSON over one kept connection, a seventh of the cost of plexapi's objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import requests

from engine.clients import plex
from engine.clients.typed_addresses import TypedAddressAdapter

PAGE = 500
KEYS_AT_ONCE = 100
MOST_BYTES = 512 << 20  # a server that ignores paging sends a whole library at once
_CONNECT_SECONDS, _READ_SECONDS = 5.0, 30.0
_CHUNK = 1 << 20


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
class Page:
    """Some items of a listing.

    Attributes:
        items: as Plex sent them. start: the number of the first.
        total: of the whole listing, where the server says so.
        joined: it goes on where the page before ended; if not, the listing has moved and something may be missing.
    """

    items: Sequence[Mapping[str, Any]]
    start: int
    total: int | None
    joined: bool = True


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

    def sections(self) -> Sequence[Mapping[str, Any]]:
        """All libraries."""
        found = _list(self.container("/library/sections").get("Directory"))
        if any(not entry.get("key") or not entry.get("type") for entry in found):
            raise PlexGarbled("The list of libraries is not complete.")
        return found

    def count(self, section: str, number: int, **query: Any) -> int | None:
        """How many items of a type a library has; None where the server does not say."""
        answer = self.container(
            f"/library/sections/{section}/all",
            type=number,
            **{"X-Plex-Container-Start": 0, "X-Plex-Container-Size": 0},
            **query,
        )
        total = _total(answer)
        return len(answer["Metadata"]) if total is None and _list(answer.get("Metadata")) else total

    def pages(self, path: str, **query: Any) -> Iterator[Page]:
        """A listing, page by page; a server that ignores paging gives one large page.

        Each page is asked for with the last item of the one before: where that is missing, items were removed
        meanwhile, the rest has moved up, and as many were passed over. Such a page is not `joined`.
        """
        start, last, back, size = 0, None, 1, PAGE
        while True:
            begin = max(0, start - back)
            asked = {"X-Plex-Container-Start": begin, "X-Plex-Container-Size": size + start - begin, **query}
            answer = self.container(path, **asked)
            items, total = _list(answer.get("Metadata")), _total(answer)
            if begin and str(answer.get("offset", begin)) != str(begin):
                yield Page((), start, total, joined=False)  # it gives another part than was asked for
                return
            keys = [item.get("ratingKey") for item in items]
            joined = not start or not back or last in keys
            new = items[keys.index(last) + 1 :] if start and last in keys else items
            if not new and back and start and start < (total or 0):
                back = 0  # so short are its pages that the last item is all of this one
                continue
            ended = not new or len(new) > size or (total is not None and begin + len(items) >= total)
            yield Page(new, start, total, joined)
            if ended:
                return
            start, last = begin + len(items), keys[-1]

    def listing(self, section: str, number: int, **query: Any) -> Iterator[Page]:
        """The items of a type in a library, oldest first, so that what is added meanwhile comes at the end."""
        return self.pages(
            f"/library/sections/{section}/all", type=number, includeGuids=1, sort="addedAt:asc", **query
        )

    def items(self, keys: Sequence[str]) -> list[Mapping[str, Any]]:
        """The items with these rating keys; those that are gone are missing."""
        found: list[Mapping[str, Any]] = []
        for start in range(0, len(keys), KEYS_AT_ONCE):
            some = ",".join(keys[start : start + KEYS_AT_ONCE])
            try:
                found += _list(self.container(f"/library/metadata/{some}", includeGuids=1).get("Metadata"))
            except PlexGone:
                continue
        return found

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
        found = orjson.loads(body)["MediaContainer"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise PlexGarbled("The server's answer is cut short, or no JSON of Plex.") from None
    if not isinstance(found, Mapping):
        raise PlexGarbled("The server's answer is no answer of Plex.")
    return found


def _list(found: Any) -> Sequence[Mapping[str, Any]]:
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(entry, Mapping) for entry in found):
        raise PlexGarbled("The server's answer is no answer of Plex.")
    return found


def _total(answer: Mapping[str, Any]) -> int | None:
    total = answer.get("totalSize")
    return int(total) if isinstance(total, int | str) and str(total).isdecimal() else None
