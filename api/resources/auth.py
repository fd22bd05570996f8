"""`/auth`: the first administrator, signing in and out, and one's own sessions."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import marshmallow as ma
from flask import Response, request

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import PUBLIC, Access, Answers, Takes
from api.resources.signed_in import SET_COOKIE, SignedInSchema, signed_in_answer
from api.resources.user_rows import UserSchema, user_row
from api.security.authentication import REFRESH_COOKIE, clear_cookies, device
from api.security.csrf import check_csrf
from api.security.own_hosts import refuse_foreign_host, refuse_foreign_page
from api.wire.envelope import success
from api.wire.fields import Email, Flag, Name, Password, Schema, Text, nullable, required
from engine import audit
from engine.accounts import users
from engine.accounts.sign_in import by_password, sign_in
from engine.audit import Subject
from engine.errors import NotFound, Unauthorized
from engine.identity import sessions, socket_tickets
from engine.identity.passwords import MAX_LENGTH, MIN_LENGTH
from engine.permissions import Permission
from models.login import Login

blueprint = Blueprint("auth", "/auth", "Signing in and out.")


class BootstrapRequest(Schema):
    """The first administrator."""

    email = Email(required=True)
    password = Password(MAX_LENGTH, MIN_LENGTH, required=True)
    name = Name(required=True)
    setup_token = Text(
        500, metadata={"description": "In production: what the server printed at first start."}
    )


class LoginRequest(Schema):
    """Credentials of a password account."""

    email = Email(required=True)
    password = Password(MAX_LENGTH, required=True)
    remember_me = Flag(load_default=False, metadata={"description": "Stay signed in for 30 days, not 7."})


class RefreshRequest(Schema):
    """A refresh token; browsers send their cookie instead."""

    refresh_token = Text(500)


class SessionSchema(Schema):
    """Who is signed in."""

    user = ma.fields.Nested(UserSchema, required=True)


class DeviceSchema(Schema):
    """A session of the user on some device."""

    id = ma.fields.String(required=True)
    current = ma.fields.Boolean(required=True)
    user_agent = nullable(ma.fields.String)
    address = nullable(ma.fields.String)
    remember_me = ma.fields.Boolean(required=True)
    created_at = ma.fields.DateTime(required=True)
    last_used_at = ma.fields.DateTime(required=True)
    expires_at = ma.fields.DateTime(required=True)


class DevicesSchema(Schema):
    """All live sessions of the user."""

    items = ma.fields.List(ma.fields.Nested(DeviceSchema), required=True)


class EndedSchema(Schema):
    """How many sessions ended."""

    ended = ma.fields.Integer(required=True)


class TicketSchema(Schema):
    """A proof for the handshake of one WebSocket."""

    ticket = ma.fields.String(required=True)
    expires_in = required(ma.fields.Integer, about="Seconds.")


@blueprint.operation(
    "POST",
    "/admin",
    PUBLIC,
    Answers({201: SignedInSchema}, errors=(403, 409), headers=SET_COOKIE),
    Takes(body=BootstrapRequest),
)
def bootstrap(call: Call, body: dict[str, Any]) -> Response:
    """Create the first administrator, once; in production with the token that the server printed.

    Elsewhere only by an address of the server itself, or by the name in PUBLIC_URL or FRONTEND_URL; never for a page of
    another site.
    """
    refuse_foreign_page(request, call.settings)
    if not users.takes_setup_token(call.settings):
        refuse_foreign_host(request, call.settings)
    user = users.bootstrap(call.db, call.settings, **{"setup_token": None, **body})
    started = sign_in(call.db, call.settings, user, method="bootstrap", device=device(request))
    return signed_in_answer(call, started, 201, fresh=True)


@blueprint.operation(
    "POST",
    "/login",
    PUBLIC,
    Answers({200: SignedInSchema}, errors=(401,), headers=SET_COOKIE),
    Takes(body=LoginRequest),
    limit="login",
    own_units=True,
)
def login(call: Call, body: dict[str, Any]) -> Response:
    """Sign in with e-mail address and password."""
    with call.attempt("account", email=body["email"]) as attempted:
        started = by_password(call.runtime, device=device(request), **body)
        # Who only claims the address may be guessing at its holder's password by setting each guess as their own.
        attempted.counts = started.user.email_claimed_at is not None
    return signed_in_answer(call, started, fresh=True)


@blueprint.operation(
    "POST",
    "/refresh",
    PUBLIC,
    Answers({200: SignedInSchema}, errors=(401, 403), headers=SET_COOKIE),
    Takes(body=RefreshRequest),
    limit="poll",  # a family behind one address renews more often than strangers may ask
    own_units=True,
)
def refresh(call: Call, body: dict[str, Any]) -> Response:
    """Exchange the refresh token for fresh tokens; using an old one again ends the session."""
    token = body.get("refresh_token")
    if token is None:
        token = request.cookies.get(REFRESH_COOKIE, "")
        owner = sessions.owner_of(call.settings, token)
        if owner is not None:
            check_csrf(request, call.settings, owner)
    with call.runtime.unit_of_work() as db:  # what a theft changed must be kept although we refuse
        renewed = sessions.renew(db, call.settings, token, device(request))
    if renewed is None:
        raise Unauthorized("The refresh token is not valid: sign in again.")
    return signed_in_answer(call, renewed)


@blueprint.operation("GET", "/session", Access(Permission.PROFILE_READ), Answers({200: SessionSchema}))
def current_session(call: Call) -> Response:
    """Who is signed in."""
    return success({"user": user_row(users.get(call.db, call.identity.user_id))})


@blueprint.operation(
    "POST",
    "/logout",
    Access(Permission.PROFILE_READ, session_only=True),
    Answers({200: DeviceSchema}, headers=SET_COOKIE),
    Takes(body=RefreshRequest),
)
def logout(call: Call, body: dict[str, Any]) -> Response:
    """End this session, and the one of the refresh token where it is another of the user's."""
    mine = call.identity
    other = sessions.owner_of(call.settings, body.get("refresh_token", ""))
    if other is not None and other != mine.session_id:
        with suppress(NotFound):  # over already, or another user's: not ours to tell
            also = sessions.revoke(call.db, other, user_id=mine.user_id)
            audit.record(call.db, "session.revoked", call.actor, _subject(also))
    ended = sessions.revoke(call.db, mine.session_id, user_id=mine.user_id)
    audit.record(call.db, "auth.signed_out", call.actor, _subject(ended))
    answer = success(device_row(ended, mine.session_id))
    clear_cookies(answer, call.settings)
    return answer


@blueprint.operation(
    "GET", "/sessions", Access(Permission.PROFILE_READ, session_only=True), Answers({200: DevicesSchema})
)
def list_sessions(call: Call) -> Response:
    """The devices on which the user is signed in, the last used first."""
    mine = call.identity
    rows = sessions.listing(call.db, mine.user_id)
    return success({"items": [device_row(row, mine.session_id) for row in rows]})


@blueprint.operation(
    "DELETE", "/sessions", Access(Permission.PROFILE_READ, session_only=True), Answers({200: EndedSchema})
)
def end_other_sessions(call: Call) -> Response:
    """Sign out everywhere but here."""
    mine = call.identity
    ended = sessions.revoke_others(call.db, user_id=mine.user_id, keep=mine.session_id)
    audit.record(call.db, "session.revoked", call.actor, Subject("user", mine.user_id), ended=ended)
    return success({"ended": ended})


@blueprint.operation(
    "DELETE",
    "/sessions/<id:session_id>",
    Access(Permission.PROFILE_READ, session_only=True),
    Answers({200: DeviceSchema}),
)
def end_session(call: Call, session_id: str) -> Response:
    """Sign one device out."""
    ended = sessions.revoke(call.db, session_id, user_id=call.identity.user_id)
    audit.record(call.db, "session.revoked", call.actor, _subject(ended))
    return success(device_row(ended, call.identity.session_id))


@blueprint.operation("POST", "/ws-ticket", Access(Permission.PROFILE_READ), Answers({200: TicketSchema}))
def make_socket_ticket(call: Call) -> Response:
    """A ticket that opens one WebSocket as `?ticket=`, within 30 seconds."""
    ticket = socket_tickets.issue(call.db, call.identity)
    return success({"ticket": ticket, "expiresIn": int(socket_tickets.LIFE.total_seconds())})


def device_row(login: Login, current: str) -> dict[str, Any]:
    """A session as its user sees it."""
    return DeviceSchema.row(login, current=login.id == current)


def _subject(login: Login) -> Subject:
    return Subject("session", login.id, login.user_agent)
