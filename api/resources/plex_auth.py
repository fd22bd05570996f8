"""`/auth/plex` and `/users/me/plex`: signing in with Plex, and linking a Plex account to one's own."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Request, Response, request

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import PUBLIC, Access, Answers, Takes
from api.operations.proving import proving
from api.resources.confirmation import PendingSchema
from api.resources.csrf import session_named_by
from api.resources.signed_in import SET_COOKIE, SignedInSchema, signed_in_answer
from api.resources.user_rows import UserSchema, user_row
from api.security import browsers
from api.security.authentication import device
from api.security.csrf import check_csrf
from api.wire.envelope import success
from api.wire.fields import Choice, Flag, Password, Schema, Text, nullable, required
from config.settings import Settings
from engine.accounts import plex_accounts, plex_sign_in
from engine.errors import CsrfInvalid
from engine.identity.passwords import MAX_LENGTH
from engine.permissions import Permission

blueprint = Blueprint("plex sign-in", "/auth/plex", "Signing in with Plex.")
own_account = Blueprint("own Plex account", "/users/me/plex", "The Plex account behind one's own.")


class PlexPinRequest(Schema):
    """How somebody wants to sign in."""

    client_name = Text(100, strip=True, metadata={"description": "Shown to the person at plex.tv."})
    flow = Choice(
        ("link", "browser"),
        load_default="link",
        metadata={
            "description": "link: four characters to type at plex.tv/link; browser: by plex.tv's own page."
        },
    )


class PlexPinSchema(Schema):
    """A PIN of plex.tv, for this browser alone."""

    id = required(ma.fields.String, about="For POST /auth/plex/verify.")
    code = ma.fields.String(required=True)
    qr_url = nullable(ma.fields.String, about="Of the flow `link`: to be shown as a QR code.")
    auth_url = nullable(ma.fields.String, about="Of the flow `browser`: where to go.")
    expires_in = required(ma.fields.Integer, about="Seconds, as plex.tv says.")
    expires_at = ma.fields.DateTime(required=True)


class PlexVerifyRequest(Schema):
    """Which PIN may have been claimed by now."""

    pin_id = Text(30, required=True)
    remember_me = Flag(load_default=False, metadata={"description": "Stay signed in for 30 days, not 7."})


class PlexLinkRequest(Schema):
    """Which PIN may have been claimed by now, and the proof that one may say who signs in here."""

    pin_id = Text(30, required=True)
    current_password = Password(
        MAX_LENGTH, metadata={"description": "Missing only where there is no password."}
    )


@blueprint.operation(
    "POST",
    "/pin",
    PUBLIC,
    Answers(
        {201: PlexPinSchema}, errors=(404, 503), headers={"Set-Cookie": "What the PIN is bound to, HttpOnly."}
    ),
    Takes(body=PlexPinRequest),
    own_units=True,
)
def make_plex_pin(call: Call, body: dict[str, Any]) -> Response:
    """Begin to sign in with Plex. The PIN belongs to this browser, by its cookie, and works once."""
    nonce = browsers.nonce_of(request, call.settings) or browsers.fresh_nonce()
    begun = plex_sign_in.begin(
        call.runtime, nonce=nonce, client_name=body.get("client_name"), strong=body["flow"] == "browser"
    )
    answer = success(PlexPinSchema.row(begun.pin, qr_url=begun.qr_url, auth_url=begun.auth_url), 201)
    browsers.give_nonce(answer, call.settings, nonce)
    return answer


@blueprint.operation(
    "POST",
    "/verify",
    PUBLIC,
    Answers({200: SignedInSchema, 202: PendingSchema}, errors=(401, 403, 404, 503), headers=SET_COOKIE),
    Takes(body=PlexVerifyRequest),
    limit="poll",  # asked every second or two while somebody types
    own_units=True,
)
def verify_plex_pin(call: Call, body: dict[str, Any]) -> Response:
    """Sign in once the PIN is claimed; 202 until then. Needs X-CSRF-Token always."""
    _check_proof(request, call.settings)
    started = plex_sign_in.verify(
        call.runtime,
        body["pin_id"],
        nonce=browsers.nonce_of(request, call.settings) or "",
        remember_me=body["remember_me"],
        device=device(request),
    )
    return _pending() if started is None else signed_in_answer(call, started, fresh=True)


@own_account.operation(
    "POST",
    "",
    Access(Permission.PROFILE_EDIT, session_only=True, confirmed="there is no password"),
    Answers({200: UserSchema, 202: PendingSchema}, errors=(404, 409, 503)),
    Takes(body=PlexLinkRequest),
    own_units=True,
)
def link_plex_account(call: Call, body: dict[str, Any]) -> Response:
    """Link the Plex account that claimed a PIN of this browser to one's own account; 202 until it is claimed.

    It signs in as its owner from then on, so it takes the password, where there is one; they are told.
    """
    with proving(call, "user.updated", guess="current_password" in body):
        user = plex_sign_in.link(
            call.runtime,
            body["pin_id"],
            nonce=browsers.nonce_of(request, call.settings) or "",
            mine=call.identity,
            password=body.get("current_password"),
            actor=call.actor,
        )
    return _pending() if user is None else success(user_row(user))


@own_account.operation(
    "DELETE",
    "",
    Access(Permission.PROFILE_EDIT, session_only=True, confirmed="always"),
    Answers({200: UserSchema}, errors=(404, 409)),
)
def unlink_plex_account(call: Call) -> Response:
    """Forget one's Plex account; only for those who can sign in with a password. Admins are told."""
    user = plex_accounts.unlink(call.db, call.settings, call.identity.user_id, call.actor)
    return success(user_row(user))


def _pending() -> Response:
    return success({"status": "pending"}, 202)


def _check_proof(request: Request, settings: Settings) -> None:
    """Refuse without the CSRF token of this browser, or of its session where it has one."""
    nonce, session = browsers.nonce_of(request, settings), session_named_by(request, settings)
    if session is not None and nonce is not None:
        try:
            return check_csrf(request, settings, browsers.subject(nonce))
        except CsrfInvalid:
            return check_csrf(request, settings, session)
    return check_csrf(request, settings, session or browsers.subject(nonce or browsers.fresh_nonce()))
