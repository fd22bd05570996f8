"""`/users/me`: one's own profile, password and API keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import marshmallow as ma
from flask import Response
from marshmallow import validate

from api.blueprint import Blueprint, Call
from api.envelope import success
from api.fields import Choice, Email, Name, Password, Schema
from api.resources.user_rows import UserSchema, user_row
from engine import audit
from engine.accounts import api_keys, profile, users
from engine.accounts.administration import subject_of
from engine.accounts.passwords import MAX_LENGTH, MIN_LENGTH
from engine.accounts.permissions import Permission
from engine.accounts.profile import WrongPassword
from engine.errors import Forbidden
from models.api_key import ApiKey

blueprint = Blueprint("me", "/users/me", "Oneself.")


class ProfileRequest(Schema):
    """What to change; what is missing stays."""

    name = Name()
    email = Email()
    current_password = Password(
        MAX_LENGTH, metadata={"description": "Needed for another e-mail address, where there is a password."}
    )


class PasswordRequest(Schema):
    """A new password, and the one so far as proof."""

    current_password = Password(
        MAX_LENGTH, metadata={"description": "Missing only where there is no password yet."}
    )
    new_password = Password(MAX_LENGTH, MIN_LENGTH, required=True)


class PasswordChangedSchema(Schema):
    """What the change ended."""

    ended = ma.fields.Integer(required=True, metadata={"description": "Other sessions."})
    revoked_keys = ma.fields.Integer(required=True, metadata={"description": "API keys."})


class ApiKeyRequest(Schema):
    """What a program is to be allowed."""

    name = Name(required=True)
    permissions = ma.fields.List(
        Choice(list(Permission)),
        required=True,
        validate=validate.Length(1, 100),
        metadata={"description": "Some of one's own."},
    )
    expires_at = ma.fields.AwareDateTime(allow_none=True, metadata={"description": "Default: never."})


class ApiKeySchema(Schema):
    """An API key; the key itself is shown only once."""

    id = ma.fields.String(required=True)
    name = ma.fields.String(required=True)
    hint = ma.fields.String(required=True, metadata={"description": "How the key begins."})
    permissions = ma.fields.List(ma.fields.String(), required=True)
    created_at = ma.fields.DateTime(required=True)
    expires_at = ma.fields.DateTime(required=True, allow_none=True)
    last_used_at = ma.fields.DateTime(
        required=True, allow_none=True, metadata={"description": "To the minute."}
    )


class NewApiKeySchema(ApiKeySchema):
    """A new API key."""

    key = ma.fields.String(
        required=True, metadata={"description": "For the header X-Api-Key; not shown again."}
    )


class ApiKeysSchema(Schema):
    """All API keys of the user that were not deleted."""

    items = ma.fields.List(ma.fields.Nested(ApiKeySchema), required=True)


@blueprint.operation("GET", "", permission=Permission.PROFILE_READ, answers={200: UserSchema})
def get_profile(call: Call) -> Response:
    """Oneself."""
    return success(user_row(users.get(call.db, call.identity.user_id)))


@blueprint.operation(
    "PATCH",
    "",
    permission=Permission.PROFILE_EDIT,
    body=ProfileRequest,
    answers={200: UserSchema},
    errors=(409,),
    own_units=True,
)
def edit_profile(call: Call, body: dict[str, Any]) -> Response:
    """Change one's name or e-mail address; another address needs the current password."""
    with proving(call, "user.updated", body), call.runtime.unit_of_work() as db:
        user = profile.change(
            db,
            call.settings,
            call.identity,
            actor=call.actor,
            name=body.get("name"),
            email=body.get("email"),
            password=body.get("current_password"),
        )
    return success(user_row(user))


@blueprint.operation(
    "POST",
    "/password",
    permission=Permission.PROFILE_EDIT,
    body=PasswordRequest,
    answers={200: PasswordChangedSchema},
    errors=(409,),
    own_units=True,
    session_only=True,
)
def change_password(call: Call, body: dict[str, Any]) -> Response:
    """Change one's password, sign out everywhere else, revoke all API keys. Who came with Plex sets his first one."""
    with proving(call, "password.changed", body), call.runtime.unit_of_work() as db:
        ended = profile.change_password(
            db,
            call.settings,
            call.identity,
            actor=call.actor,
            current=body.get("current_password"),
            new=body["new_password"],
        )
    return success({"ended": ended.sessions, "revokedKeys": ended.keys})


@blueprint.operation(
    "GET",
    "/api-keys",
    permission=Permission.PROFILE_EDIT,
    answers={200: ApiKeysSchema},
    session_only=True,
)
def list_api_keys(call: Call) -> Response:
    """One's own API keys, newest first."""
    rows = api_keys.listing(call.db, call.identity.user_id)
    return success({"items": [api_key_row(row) for row in rows]})


@blueprint.operation(
    "POST",
    "/api-keys",
    permission=Permission.PROFILE_EDIT,
    body=ApiKeyRequest,
    answers={201: NewApiKeySchema},
    errors=(409,),
    session_only=True,
)
def create_api_key(call: Call, body: dict[str, Any]) -> Response:
    """Make a key for a program, with some of one's own permissions; it is shown only in this answer. One is told."""
    row, key = profile.make_key(
        call.db,
        call.settings,
        call.identity,
        name=body["name"],
        permissions=[Permission(name) for name in body["permissions"]],
        expires_at=body.get("expires_at"),
        actor=call.actor,
    )
    return success({"key": key, **api_key_row(row)}, 201)


@blueprint.operation(
    "DELETE",
    "/api-keys/<id:key_id>",
    permission=Permission.PROFILE_EDIT,
    answers={200: ApiKeySchema},
    session_only=True,
)
def revoke_api_key(call: Call, key_id: str) -> Response:
    """End a key; whatever uses it is out from the next request."""
    row = api_keys.revoke(call.db, key_id, user_id=call.identity.user_id, actor=call.actor)
    return success(api_key_row(row))


def api_key_row(row: ApiKey) -> dict[str, Any]:
    """A key as its owner sees it."""
    return {
        "id": row.id,
        "name": row.name,
        "hint": row.hint,
        "permissions": row.permissions,
        "createdAt": row.created_at,
        "expiresAt": row.expires_at,
        "lastUsedAt": row.last_used_at,
    }


@contextmanager
def proving(call: Call, action: str, body: dict[str, Any]) -> Iterator[None]:
    """Count and write down a wrong password given as proof. It does not end the session, so it is not a 401.

    Counted for the user and not for his address: strangers who guess at sign-in can't keep him from his profile.
    """
    mine = call.identity.user_id
    guess = call.attempt("account", email=mine) if "current_password" in body else nullcontext()
    try:
        with guess:
            yield
    except WrongPassword as wrong:
        with call.runtime.reading() as db:
            subject = subject_of(users.get(db, mine))
        refused = Forbidden(wrong.message)
        raise audit.refusal(refused, action, subject, outcome="failure", reason="wrong password") from None
