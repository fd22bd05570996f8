"""Asks a Plex server while somebody waits for the answer: each question is bounded in time and in bytes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Self

import requests
from urllib3.exceptions import HTTPError

from engine.clients.foreign_json import NotJson, decoded
from engine.clients.plex.library import (
    PlexGarbled,
    PlexGone,
    PlexTls,
    PlexUnauthorized,
    PlexUnreachable,
    count_of,
    rows,
)
from engine.clients.typed_addresses import TypedAddressAdapter

SECONDS = 8.0  # of one question
MOST_JSON = 8 << 20
_CONNECT_SECONDS = 3.0
_CHUNK = 64 * 1024


class PlexQuestions:
    """A few questions to one server; not for several threads at once.

    Args:
        url: of the server.
        token: of its owner, or of somebody with whom it is shared.
        client_id: by which Plex knows this installation.
        verify: whether certificates are checked.
        seconds: of each question.
    """

    def __init__(
        self, url: str, token: str, client_id: str, *, verify: bool = True, seconds: float = SECONDS
    ) -> None:
        self._url, self._seconds = url.rstrip("/"), seconds
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, no ~/.netrc of the environment
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, TypedAddressAdapter())
        self._session.verify = verify
        self._session.headers.update(
            {
                "Accept-Encoding": "identity",  # nothing to unpack, so no bomb
                "X-Plex-Token": token,
                "X-Plex-Client-Identifier": client_id,
                "X-Plex-Product": "MediaNest",
            }
        )

    def __enter__(self) -> Self:
        """Use it as a context."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._session.close()

    def container(self, path: str, **query: Any) -> Mapping[str, Any]:
        """The `MediaContainer` of an answer.

        Raises:
            PlexError: one of its kinds.
        """
        body = self.body(path, query, accept="application/json", most=MOST_JSON)
        try:
            found = decoded(body)["MediaContainer"]
        except (NotJson, KeyError, TypeError):
            raise PlexGarbled("The server's answer is no answer of Plex.") from None
        if not isinstance(found, Mapping):
            raise PlexGarbled("The server's answer is no answer of Plex.")
        return found

    def entries(self, path: str, name: str = "Metadata", **query: Any) -> list[Mapping[str, Any]]:
        """The entries of a list in a container.

        Raises:
            PlexError: one of its kinds.
        """
        return self.page(path, query, name)[0]

    def page(
        self, path: str, query: Mapping[str, Any], name: str = "Metadata"
    ) -> tuple[list[Mapping[str, Any]], int | None]:
        """The entries of a list in a container (see `rows`), and how many the whole list has, where it is told.

        Raises:
            PlexError: one of its kinds.
        """
        answer = self.container(path, **query)
        return list(rows(answer.get(name))), count_of(answer.get("totalSize"))

    def body(self, path: str, query: Mapping[str, Any], *, accept: str, most: int) -> bytes:
        """The bytes of an answer with status 200.

        Raises:
            PlexError: one of its kinds; PlexGarbled where there are more than `most`.
        """
        ends = time.monotonic() + self._seconds
        try:
            with self._session.get(
                self._url + path,
                params=dict(query),
                headers={"Accept": accept},
                timeout=(_CONNECT_SECONDS, self._seconds),
                stream=True,
                allow_redirects=False,
            ) as answer:
                _check(answer.status_code)
                return _read(answer, most, ends)
        except requests.exceptions.SSLError:
            raise PlexTls("The server's certificate is not valid for this address.") from None
        except requests.exceptions.Timeout:
            raise PlexUnreachable("The server does not answer in time.") from None
        except (requests.exceptions.RequestException, HTTPError, OSError):
            raise PlexUnreachable("The server can't be reached.") from None


def _read(answer: requests.Response, most: int, ends: float) -> bytes:
    """The body as it comes, so that neither a flood nor a trickle keeps us."""
    parts, size = [], 0
    while part := answer.raw.read1(_CHUNK, decode_content=False):
        size += len(part)
        if size > most:
            raise PlexGarbled("The server's answer is too long.")
        if time.monotonic() > ends:
            raise PlexUnreachable("The server does not answer in time.")
        parts.append(part)
    promised = answer.headers.get("Content-Length", "")
    if promised.isdecimal() and int(promised) != size:
        raise PlexUnreachable("The server's answer is cut short.")
    return b"".join(parts)


def _check(status: int) -> None:
    if status in {401, 403}:
        raise PlexUnauthorized("The server does not accept the token.")
    if status == 404:
        raise PlexGone("The server has no such thing.")
    if status >= 500:
        raise PlexUnreachable(f"The server is not ready (status {status}).")
    if status != 200:
        raise PlexGarbled(f"The server refuses (status {status}).")
