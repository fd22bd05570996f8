"""The cookie by which pages know a session: signed by us, valid as long as the session's row is."""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass

from flask import Request, Response

from api.security import cookies
from config.settings import Settings
from engine.secrets import keys
from models.login import Login

PAGE_COOKIE = "medianest_session"
PROLONGED_AFTER = 3600  # seconds; a session in use is written to once in so long


@dataclass(frozen=True)
class NamedSession:
    """A session as the cookie names it; it may be over.

    Attributes:
        login_id: of its row.
        given: when the cookie was set, in seconds since 1970.
    """

    login_id: str
    given: int

    @property
    def is_stale(self) -> bool:
        """Whether the session is to be prolonged, and the cookie set anew."""
        return time.time() - self.given > PROLONGED_AFTER


def named_by(request: Request, settings: Settings) -> NamedSession | None:
    """The session that a request's cookie names; None without one, or with one that we did not make."""
    text, _, signature = request.cookies.get(PAGE_COOKIE, "").rpartition(".")
    login_id, _, given = text.partition(".")
    if not (text.isascii() and given.isdecimal()):
        return None
    try:
        proof = base64.urlsafe_b64decode(signature + "=")
    except (binascii.Error, ValueError):
        return None
    valid = keys.signer(settings, keys.PAGES, text.encode(), proof) is not None
    return NamedSession(login_id, int(given)) if valid else None


def give(response: Response, settings: Settings, login: Login) -> None:
    """Set the cookie of a session."""
    text = f"{login.id}.{int(time.time())}"
    signature = base64.urlsafe_b64encode(keys.sign(settings, keys.PAGES, text.encode())).decode().rstrip("=")
    life = settings.remember_me_seconds if login.remember_me else settings.refresh_token_seconds
    cookies.keep(response, settings, PAGE_COOKIE, f"{text}.{signature}", int(life))


def take(response: Response, settings: Settings) -> None:
    """Delete the cookie."""
    cookies.keep(response, settings, PAGE_COOKIE, "", 0)
