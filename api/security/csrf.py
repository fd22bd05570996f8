"""CSRF: a change that authenticates by cookie proves with a token, in header or form, that our own page sent it."""

from __future__ import annotations

import re
import secrets

from flask import Request

from api.security.csrf_counts import counts
from config.settings import Settings
from engine.errors import CsrfInvalid
from engine.secrets import keys

HEADER = "X-CSRF-Token"
FIELD = "csrfToken"  # of a form of our pages
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_TOKEN = re.compile(r"(?:(?P<nonce>[0-9a-f]{16})\.)?(?P<signature>[0-9a-f]{64})")


def csrf_token(settings: Settings, subject: str, *, fresh: bool = False) -> str:
    """A token of a session, or of a browser before sign-in; it is valid as long as that is.

    Another site can neither read it (it is never in a cookie) nor make it (it is signed).

    Args:
        settings: with the secret key.
        subject: what it is bound to.
        fresh: a token that differs each time, instead of always the same.
    """
    nonce = secrets.token_hex(8) if fresh else ""
    signature = keys.sign(settings, keys.CSRF_TOKENS, _signed(subject, nonce)).hex()
    return f"{nonce}.{signature}" if nonce else signature


def check_csrf(request: Request, settings: Settings, subject: str) -> None:
    """Refuse a change without a token of `subject`; reading needs none.

    Raises:
        CsrfInvalid: it is missing or wrong.
    """
    if request.method in _SAFE_METHODS:
        return
    if not _holds(request.headers.get(HEADER) or request.form.get(FIELD, ""), settings, subject):
        counts().add("rejected")
        raise CsrfInvalid(f"This needs the header {HEADER} with the token of GET /api/v1/csrf/token.")
    counts().add("accepted")


def _holds(token: str, settings: Settings, subject: str) -> bool:
    found = _TOKEN.fullmatch(token)
    if found is None:
        return False
    text = _signed(subject, found["nonce"] or "")
    return keys.signer(settings, keys.CSRF_TOKENS, text, bytes.fromhex(found["signature"])) is not None


def _signed(subject: str, nonce: str) -> bytes:
    return f"{subject}\0{nonce}".encode() if nonce else subject.encode()
