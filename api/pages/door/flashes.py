"""Messages about what was just done: they wait in a signed cookie for the next page, which shows them once."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import get_args

import orjson
from flask import Request, Response

from api.pages.look.shell import Flash, Kind
from api.security import cookies
from config.settings import Settings
from engine.secrets import keys

_COOKIE = "medianest_flash"
_SECONDS = 120
_LONGEST = 3000  # characters, of the 4,096 bytes that browsers keep
_SIGNATURE = 32  # bytes


def give(response: Response, settings: Settings, told: Sequence[Flash]) -> None:
    """Keep messages for the next page."""
    text = orjson.dumps([[flash.kind, flash.text[: _LONGEST // (4 * len(told))]] for flash in told])
    signed = base64.urlsafe_b64encode(keys.sign(settings, keys.FLASHES, text) + text).decode()
    cookies.keep(response, settings, _COOKIE, signed, _SECONDS)


def read(request: Request, settings: Settings) -> Sequence[Flash]:
    """The messages that wait; none where the cookie has no valid signature."""
    try:
        signed = base64.urlsafe_b64decode(request.cookies.get(_COOKIE, ""))
    except (binascii.Error, ValueError):
        return ()
    signature, text = signed[:_SIGNATURE], signed[_SIGNATURE:]
    if not text or keys.signer(settings, keys.FLASHES, text, signature) is None:
        return ()
    return [Flash(kind, words) for kind, words in orjson.loads(text) if kind in get_args(Kind)]


def forget(request: Request, response: Response, settings: Settings) -> None:
    """Delete the messages that a page has shown."""
    if _COOKIE in request.cookies:
        cookies.keep(response, settings, _COOKIE, "", 0)
