"""`/csrf`: the proof that a change comes from our own page."""

from __future__ import annotations

from typing import Literal

import marshmallow as ma
from flask import Request, Response, request

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import PUBLIC, Access, Answers
from api.security import browsers
from api.security.authentication import REFRESH_COOKIE, credential, session_of
from api.security.csrf import csrf_token
from api.security.csrf_counts import counts
from api.wire.envelope import success
from api.wire.fields import Schema, nullable, required
from config.settings import Settings
from engine.errors import Unauthorized
from engine.identity import sessions
from engine.permissions import Permission

blueprint = Blueprint("csrf", "/csrf", "The proof that a change comes from our own page.")


class CsrfTokenSchema(Schema):
    """The token for `X-CSRF-Token`."""

    csrf_token = ma.fields.String(required=True)


class CsrfStatsSchema(Schema):
    """What happened to tokens, all processes together."""

    issued = required(ma.fields.Integer, about="At sign-in and when asked for.")
    refreshed = ma.fields.Integer(required=True)
    accepted = required(ma.fields.Integer, about="Changes with the right one.")
    rejected = required(ma.fields.Integer, about="Changes without it.")
    since = nullable(ma.fields.DateTime, about="Of the first one that is counted here.")


@blueprint.operation(
    "GET",
    "/token",
    PUBLIC,
    Answers(
        {200: CsrfTokenSchema},
        headers={"Set-Cookie": "What the token of a browser is bound to before anyone has signed in."},
    ),
)
def get_csrf_token(call: Call) -> Response:
    """The token of this session, or of this browser before anyone has signed in; the same each time."""
    return _token(call, "issued")


@blueprint.operation(
    "POST",
    "/refresh",
    PUBLIC,
    Answers(
        {200: CsrfTokenSchema},
        headers={"Set-Cookie": "What the token of a browser is bound to before anyone has signed in."},
    ),
)
def refresh_csrf_token(call: Call) -> Response:
    """A token that was never given before; it asks for no proof, since it changes nothing. Older ones hold on."""
    return _token(call, "refreshed")


@blueprint.operation(
    "GET", "/stats", Access(Permission.OPERATIONS_VIEW), Answers({200: CsrfStatsSchema}), own_units=True
)
def get_csrf_stats(call: Call) -> Response:
    """How many tokens were issued, accepted and rejected; counted in Redis, and lost with it."""
    return success(counts().read())


def _token(call: Call, what: Literal["issued", "refreshed"]) -> Response:
    counts().add(what)
    fresh = what == "refreshed"
    login_id = session_named_by(request, call.settings)
    if login_id is not None:
        return success({"csrfToken": csrf_token(call.settings, login_id, fresh=fresh)})
    nonce = browsers.nonce_of(request, call.settings) or browsers.fresh_nonce()
    token = csrf_token(call.settings, browsers.subject(nonce), fresh=fresh)
    answer = success({"csrfToken": token})
    browsers.give_nonce(answer, call.settings, nonce)
    return answer


def session_named_by(request: Request, settings: Settings) -> str | None:
    """The session whose tokens a request carries, even where the access token has just expired."""
    found = credential(request)
    if found is not None and not found.is_key:
        try:
            return session_of(found.token, expired_too=True)
        except Unauthorized:
            pass
    refresh = request.cookies.get(REFRESH_COOKIE)
    return None if refresh is None else sessions.owner_of(settings, refresh)
