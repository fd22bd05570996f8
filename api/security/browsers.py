"""The cookie that identifies a browser before anybody signs in: made and signed by us, others are ignored."""

from __future__ import annotations

import base64
import re
import secrets

from flask import Request, Response

from api.security import cookies
from config.settings import Settings
from engine.secrets import keys

BROWSER_COOKIE = "medianest_browser"
_SECONDS = 86400  # longer than any PIN lives
_COOKIE = re.compile(r"([A-Za-z0-9_-]{32})\.([A-Za-z0-9_-]{43})")


def nonce_of(request: Request, settings: Settings) -> str | None:
    """The nonce of this browser; None where it has none, or one that we did not make."""
    found = _COOKIE.fullmatch(request.cookies.get(BROWSER_COOKIE, ""))
    if found is None:
        return None
    nonce, signature = found[1], base64.urlsafe_b64decode(found[2] + "=")
    return None if keys.signer(settings, keys.BROWSERS, nonce.encode(), signature) is None else nonce


def fresh_nonce() -> str:
    """A new one."""
    return secrets.token_urlsafe(24)


def give_nonce(response: Response, settings: Settings, nonce: str) -> None:
    """Set the cookie with a browser's nonce, for a day."""
    signature = base64.urlsafe_b64encode(keys.sign(settings, keys.BROWSERS, nonce.encode())).decode()
    cookies.keep(response, settings, BROWSER_COOKIE, f"{nonce}.{signature.rstrip('=')}", _SECONDS)


def forget_nonce(request: Request, response: Response, settings: Settings) -> None:
    """Delete the cookie at a sign-in, so that a nonce which an attacker put there is worth nothing afterwards."""
    if BROWSER_COOKIE in request.cookies:
        cookies.keep(response, settings, BROWSER_COOKIE, "", 0)


def subject(nonce: str) -> str:
    """What the CSRF token of a browser is bound to; never the id of a session."""
    return f"browser:{nonce}"
