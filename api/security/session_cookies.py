"""Begins a session in a browser: the cookies of its tokens and of pages."""

from __future__ import annotations

from flask import Response, request

from api.security import browsers
from api.security.authentication import issue_access_token, set_cookies
from api.security.csrf_counts import counts
from config.settings import Settings
from engine.identity.sessions import SignedIn


def begin(answer: Response, settings: Settings, started: SignedIn) -> Response:
    """Set the cookies of a session that has just begun."""
    counts().add("issued")
    access = issue_access_token(started.login.id, started.user.id)
    set_cookies(answer, settings, access, started.refresh_token, started.login)
    browsers.forget_nonce(request, answer, settings)
    return answer
