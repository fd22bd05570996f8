"""`/csrf`: the proof that a change comes from our own page."""

from __future__ import annotations

import secrets

import marshmallow as ma
from flask import Request, Response, request

from api.blueprint import Blueprint, Call
from api.csrf import csrf_token
from api.envelope import success
from api.fields import Schema
from api.security import REFRESH_COOKIE, credential, session_of
from config.settings import Settings
from engine.accounts import sessions
from engine.errors import Unauthorized

BROWSER_COOKIE = "medianest_browser"
_BROWSER_SECONDS = 86400

blueprint = Blueprint("csrf", "/csrf", "The proof that a change comes from our own page.")


class CsrfTokenSchema(Schema):
    """The token for `X-CSRF-Token`."""

    csrf_token = ma.fields.String(required=True)


@blueprint.operation("GET", "/token", permission=None, answers={200: CsrfTokenSchema})
def get_csrf_token(call: Call) -> Response:
    """The token of this session, or of this browser before anyone has signed in; the same each time."""
    login_id = session_named_by(request, call.settings)
    if login_id is not None:
        return success({"csrfToken": csrf_token(call.settings, login_id)})
    browser = request.cookies.get(BROWSER_COOKIE) or secrets.token_urlsafe(24)
    answer = success({"csrfToken": csrf_token(call.settings, browser_subject(browser))})
    answer.set_cookie(
        BROWSER_COOKIE,
        browser,
        max_age=_BROWSER_SECONDS,
        httponly=True,
        samesite="Lax",
        secure=call.settings.app_env == "production",
    )
    return answer


def browser_subject(nonce: str) -> str:
    """What the token of a browser is bound to; never the id of a session."""
    return f"browser:{nonce}"


def session_named_by(request: Request, settings: Settings) -> str | None:
    """The session whose tokens a request carries, even where the access token has just expired."""
    found = credential(request)
    if found is not None:
        try:
            return session_of(found.token, expired_too=True)
        except Unauthorized:
            pass
    refresh = request.cookies.get(REFRESH_COOKIE)
    return None if refresh is None else sessions.owner_of(settings, refresh)
