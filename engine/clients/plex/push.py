"""Hears what a Plex server pushes: the notification socket, which needs no Plex Pass."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import connect

from engine.clients.foreign_json import NotJson, decoded
from engine.clients.http import trust_environment
from engine.clients.plex.errors import PlexError, PlexTls, PlexUnauthorized, PlexUnreachable
from engine.clients.plex.http import headers
from engine.clients.typed_addresses import connected

PATH = "/:/websockets/notifications"
_OPEN_SECONDS = 10.0
_CLOSE_SECONDS = 1.0  # whoever leaves does not wait for a server that hangs
_LONGEST_MESSAGE = 4 << 20


def messages(
    url: str, token: str, client_id: str, *, verify: bool = True, patience: float = 1.0
) -> Iterator[Mapping[str, Any] | None]:
    """The `NotificationContainer`s of a server, for as long as the connection holds.

    None comes once it stands, and then whenever nothing was pushed for `patience` seconds. Pings go out by themselves,
    so that a server that vanished without a word is noticed within a minute.

    Raises:
        PlexError: there is no connection, or not any more.
    """
    secure = url.startswith("https://")
    try:
        with connect(
            f"ws{url.rstrip('/').removeprefix('http')}{PATH}",
            additional_headers={**headers(client_id), "X-Plex-Token": token},
            user_agent_header=None,
            ssl=_context(verify) if secure else None,
            open_timeout=_OPEN_SECONDS,
            close_timeout=_CLOSE_SECONDS,
            sock=connected(url, _OPEN_SECONDS),
            max_size=_LONGEST_MESSAGE,
            proxy=None,
        ) as socket:
            yield None
            while True:
                try:
                    found = decoded(socket.recv(timeout=patience))["NotificationContainer"]
                except TimeoutError:
                    yield None
                except (NotJson, KeyError, TypeError):
                    continue  # what we can't read we can't act upon; the next sync sees what it was about
                else:
                    if isinstance(found, Mapping):
                        yield found
    except InvalidStatus as error:
        raise _refused(error.response.status_code) from None
    except ssl.SSLError:
        raise PlexTls("The server's certificate is not valid for this address.") from None
    except (WebSocketException, OSError):
        raise PlexUnreachable("The connection for notifications is lost.") from None


def _refused(status: int) -> PlexError:
    if status in {401, 403}:
        return PlexUnauthorized("The server does not accept the token.")
    return PlexUnreachable(f"The server refuses the connection for notifications (status {status}).")


def _context(verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if verify:
        trust_environment(context)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
