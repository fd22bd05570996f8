"""CSRF: a change that authenticates by cookie proves with `X-CSRF-Token` that our own page sent it."""

from __future__ import annotations

import hmac

from flask import Request

from config.settings import Settings
from engine.accounts import keys
from engine.errors import CsrfInvalid

HEADER = "X-CSRF-Token"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def csrf_token(settings: Settings, subject: str) -> str:
    """The token of a session, or of a browser that nobody has signed in with; the same each time.

    Another site can neither read it (it is never in a cookie) nor make it (it is signed).
    """
    return keys.sign(settings, keys.CSRF_TOKENS, subject.encode()).hex()


def check_csrf(request: Request, settings: Settings, subject: str) -> None:
    """Refuse a change without the token of `subject`; reading needs none.

    Raises:
        CsrfInvalid: the header is missing or wrong.
    """
    if request.method in _SAFE_METHODS:
        return
    given = request.headers.get(HEADER, "")
    if not hmac.compare_digest(given.encode(), csrf_token(settings, subject).encode()):
        raise CsrfInvalid(f"This needs the header {HEADER} with the token of GET /api/v1/csrf/token.")
