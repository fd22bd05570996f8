"""What it takes to get one new file noticed: a scan of its folder, the newest items, a look whether one can be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import requests

from engine.clients.foreign_json import objects
from engine.clients.plex.library import (
    PlexError,
    PlexGarbled,
    PlexGone,
    PlexLibrary,
    PlexTls,
    PlexUnauthorized,
    PlexUnreachable,
    rows,
)
from engine.clients.typed_addresses import TypedAddressAdapter

NEWEST = 100  # items of a listing that are looked through

_CONNECT_SECONDS, _READ_SECONDS = 5.0, 15.0


def scan(url: str, token: str, client_id: str, *, verify: bool, section: str, folder: str) -> None:
    """Have the server look into one folder of a library; it does so when it gets round to it.

    Raises:
        PlexError: one of its kinds.
    """
    try:
        with requests.Session() as session:
            session.trust_env = False
            for scheme in ("http://", "https://"):
                session.mount(scheme, TypedAddressAdapter())
            answer = session.get(
                f"{url.rstrip('/')}/library/sections/{section}/refresh",
                params={"path": folder},
                headers={
                    "X-Plex-Token": token,
                    "X-Plex-Client-Identifier": client_id,
                    "X-Plex-Product": "MediaNest",
                },
                timeout=(_CONNECT_SECONDS, _READ_SECONDS),
                verify=verify,
                allow_redirects=False,
                stream=True,  # whatever it says, nobody reads it
            )
    except requests.exceptions.SSLError:
        raise PlexTls("The server's certificate is not valid for this address.") from None
    except requests.exceptions.RequestException:
        raise PlexUnreachable("The server can't be reached.") from None
    error = _refusal(answer.status_code)
    if error is not None:
        raise error


def newest(library: PlexLibrary, section: str, number: int, order: str) -> Sequence[Mapping[str, Any]]:
    """The first items of a type in a library, in an order such as `addedAt:desc`.

    Raises:
        PlexError: one of its kinds.
    """
    answer = library.container(
        f"/library/sections/{section}/all",
        type=number,
        sort=order,
        **{"X-Plex-Container-Start": 0, "X-Plex-Container-Size": NEWEST},
    )
    return rows(answer.get("Metadata"))


def item(library: PlexLibrary, rating_key: str) -> Mapping[str, Any] | None:
    """One item, its files checked by the server this moment; None where it has no such item.

    Raises:
        PlexError: one of its kinds.
    """
    try:
        answer = library.container(f"/library/metadata/{rating_key}", checkFiles=1)
    except PlexGone:
        return None
    return next(iter(rows(answer.get("Metadata"))), None)


def parts(item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The files of an item; without those in the server's trash."""
    for media in objects(item.get("Media")):
        if not media.get("deletedAt"):
            yield from objects(media.get("Part"))


def readable(part: Mapping[str, Any]) -> bool:
    """Whether the server can read a file; it says so only of files that were checked."""
    return all(str(part.get(name, True)).lower() not in {"0", "false"} for name in ("exists", "accessible"))


def _refusal(status: int) -> PlexError | None:
    if status in {401, 403}:
        return PlexUnauthorized("The server does not accept the token.")
    if status == 404:
        return PlexGone("The server has no such library.")
    if status >= 500:
        return PlexUnreachable(f"The server is not ready (status {status}).")
    return None if status == 200 else PlexGarbled(f"The server refuses (status {status}).")
