"""Codes that people type at plex.tv: begun, kept in the address of the page that waits for them, shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import orjson
from flask import Response, request

from api.pages.door.visit import Visit
from api.security import browsers
from api.wire.fields import Choice, Schema, Text
from engine.accounts import plex_sign_in
from engine.clients.plex.tv_answers import Pin
from engine.secrets import secret_box

_PURPOSE = "a code of plex.tv"
_LONGEST = timedelta(hours=1)  # of the life of a PIN, as far as we care


class PlexCodeQuery(Schema):
    """The code that the page waits for, encrypted, and the page to come next."""

    pin = Text(3000)
    next = Text(2000)


class PlexFlowForm(Schema):
    """The way to sign in at Plex: by a code of four characters, or by plex.tv's own page."""

    flow = Choice(("link", "browser"), load_default="link")


@dataclass(frozen=True)
class PlexCode:
    """A PIN of plex.tv that this browser waits for.

    Attributes:
        pin_id: for the engine.
        code: to be typed at plex.tv/link; empty for one of plex.tv's own page.
        url: where it is typed, or the address of that page.
        until: when it ends.
        lent: all of this, encrypted.
    """

    pin_id: str
    code: str
    url: str
    until: datetime
    lent: str

    @property
    def left(self) -> str:
        """How long it is good, in minutes and seconds."""
        minutes, seconds = divmod(max(0, int((self.until - datetime.now(UTC)).total_seconds())), 60)
        return f"{minutes}:{seconds:02}"


def begin(visit: Visit, path: str, *, following: str = "") -> Response:
    """Ask plex.tv for a PIN, and go to the page that waits for it.

    Args:
        visit: by a form that may have `flow`.
        path: of that page.
        following: the page to come after it.
    """
    strong = visit.entered(PlexFlowForm)["flow"] == "browser"

    def back(pin: Pin) -> str:
        root = visit.settings.public_url or request.url_root.rstrip("/")
        return f"{root}/{_address(visit, path, pin, '', '', following)}"

    begun = plex_sign_in.begin(
        visit.runtime, nonce=visit.browser, client_name=None, strong=strong, forward=back
    )
    code, url = ("", begun.auth_url) if strong else (begun.pin.code, begun.qr_url)
    answer = visit.go(_address(visit, path, begun.pin, code, url or "", following))
    browsers.give_nonce(answer, visit.settings, visit.browser)
    return answer


def waiting(visit: Visit) -> PlexCode | None:
    """The code that address or form names; None where this browser has none, or its time is over."""
    lent = request.values.get("pin", "")
    kept = secret_box.returned(visit.settings, _PURPOSE, lent, _LONGEST)
    if kept is None:
        return None
    nonce, pin_id, code, url, ends = orjson.loads(kept)
    until = datetime.fromtimestamp(ends, UTC)
    if nonce != browsers.nonce_of(request, visit.settings) or until < datetime.now(UTC):
        return None
    return PlexCode(pin_id, code, url, until, lent)


def _address(visit: Visit, path: str, pin: Pin, code: str, url: str, following: str) -> str:
    ends = int(datetime.now(UTC).timestamp()) + pin.expires_in
    kept = orjson.dumps([visit.browser, pin.id, code, url, ends]).decode()
    query = {
        "pin": secret_box.lent(visit.settings, _PURPOSE, kept),
        **({"next": following} if following else {}),
    }
    return f"{path}?{urlencode(query)}"
