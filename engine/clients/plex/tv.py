"""plex.tv: the PINs with which people prove who they are, their account, and the servers they may use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from requests import Response

from engine.clients.foreign_json import NotJson, decoded
from engine.clients.gate import gate_of
from engine.clients.plex import tv_answers
from engine.clients.plex.errors import PinGone, TokenRefused
from engine.clients.plex.http import PRODUCT, PlexConversation
from engine.clients.plex.tv_answers import Account, Pin, Servers

SECONDS = 7.0  # of a conversation
PLACES = 4  # conversations of a process that wait for an answer at once
WHO = "plex.tv"
_LINK_PAGE = "https://plex.tv/link/"
_AUTH_PAGE = "https://app.plex.tv/auth"

T = TypeVar("T")


class PlexTv(PlexConversation):
    """A conversation with plex.tv; every call raises `PlexUnreachable` where there is no usable answer.

    Args:
        base: URL of plex.tv.
        identifier: the name by which Plex knows this installation.
        device_name: shown to people at plex.tv.
        seconds: for all requests together.
        places: how many conversations of this process may wait for an answer at once.
    """

    def __init__(
        self,
        base: str,
        identifier: str,
        *,
        device_name: str = PRODUCT,
        seconds: float = SECONDS,
        places: int = PLACES,
    ) -> None:
        super().__init__(
            base,
            who=WHO,
            identifier=identifier,
            seconds=seconds,
            device_name=device_name,
            gate=gate_of(base, places),
            proxied=True,
        )

    def make_pin(self, *, strong: bool) -> Pin:
        """A new PIN: of four characters for plex.tv/link, or a `strong` one for `auth_url`."""
        answer = self.post("/api/v2/pins", {"strong": "true"} if strong else None)
        return self._read(answer, tv_answers.pin_of, usual=(201, 200))

    def claimed(self, pin_id: str) -> str | None:
        """The token of whoever claimed a PIN; None while nobody has.

        Raises:
            PinGone: unknown or expired.
        """
        answer = self.get(f"/api/v2/pins/{quote(pin_id, safe='')}")
        if answer.status_code == 404 and _names_errors(answer):
            raise PinGone
        return self._read(answer, partial(tv_answers.claim_of, pin_id=pin_id), usual=(200, 201))

    def account(self, token: str) -> Account:
        """Whose token this is.

        Raises:
            TokenRefused: it does not hold.
        """
        return self._read(self._as(token, "/api/v2/user"), tv_answers.account_of)

    def servers(self, token: str) -> Servers:
        """The servers that a person may use, their own and shared ones, whether they run or not.

        Raises:
            TokenRefused: the token does not hold.
        """
        return self.resources(token, tv_answers.servers_of)

    def server_token(self, token: str, server_id: str) -> str | None:
        """The token with which a server knows a person with whom it is shared; None where they may not use it.

        Args:
            token: of the person, for plex.tv.
            server_id: machineIdentifier.

        Raises:
            TokenRefused: the token does not hold.
        """
        return self.resources(token, partial(tv_answers.server_token_of, server_id=server_id))

    def resources(self, token: str, parse: Callable[[Any], T]) -> T:
        """What `parse` makes of the servers and players of a person; it may raise `PlexGarbled`.

        Raises:
            TokenRefused: the token does not hold.
        """
        answer = self._as(token, "/api/v2/resources", {"includeHttps": "1", "includeRelay": "1"})
        return self._read(answer, parse)

    def _as(self, token: str, path: str, params: Mapping[str, str] | None = None) -> Response:
        answer = self.get(path, params, token)
        if answer.status_code in {401, 498}:
            raise TokenRefused
        return answer

    def _read(self, answer: Response, parse: Callable[[Any], T], usual: tuple[int, ...] = (200,)) -> T:
        return self.read(answer, lambda body: parse(decoded(body)), usual)


def link_url(code: str) -> str:
    """Where a PIN of four characters is typed in, for a QR code."""
    return f"{_LINK_PAGE}?{urlencode({'pin': code})}"


def auth_url(identifier: str, code: str, forward_url: str) -> str:
    """Where a browser goes with a strong PIN, and from where it comes back to `forward_url`."""
    parameters = {
        "clientID": identifier,
        "code": code,
        "context[device][product]": PRODUCT,
        "forwardUrl": forward_url,
    }
    return f"{_AUTH_PAGE}#?{urlencode(parameters, quote_via=quote)}"


def _names_errors(answer: Response) -> bool:
    """Whether an error is plex.tv's own, not one of something on the way."""
    try:
        document = decoded(answer.content)
    except NotJson:
        return False
    return isinstance(document, dict) and isinstance(document.get("errors"), list)
