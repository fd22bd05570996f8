"""`/users/me`: one's own profile, password and API keys."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from marshmallow import validate

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.operations.proving import confirm_by_pin, proving
from api.resources.confirmation import PendingSchema
from api.resources.user_rows import UserSchema, user_row
from api.wire.envelope import success
from api.wire.fields import Choice, Email, Name, Password, Schema, Text, nullable, required
from engine.accounts import profile, users
from engine.identity import api_keys
from engine.identity.passwords import MAX_LENGTH, MIN_LENGTH
from engine.permissions import Permission

blueprint = Blueprint("me", "/users/me", "Oneself.")


_PIN = "Of POST /auth/plex/pin, claimed with the linked Plex account: the proof where there is no password."
_UNPROVEN = "there is neither a password nor a Plex PIN"


class ProfileRequest(Schema):
    """What to change; what is missing stays."""

    name = Name()
    email = Email()
    current_password = Password(
        MAX_LENGTH, metadata={"description": "Needed for another e-mail address, where there is a password."}
    )
    pin_id = Text(30, metadata={"description": _PIN})


class PasswordRequest(Schema):
    """A new password, and the one so far as proof."""

    current_password = Password(
        MAX_LENGTH, metadata={"description": "Missing only where there is no password yet."}
    )
    new_password = Password(MAX_LENGTH, MIN_LENGTH, required=True)
    pin_id = Text(30, metadata={"description": _PIN})


class PasswordChangedSchema(Schema):
    """What the change ended."""

    ended = required(ma.fields.Integer, about="Other sessions.")
    revoked_keys = required(ma.fields.Integer, about="API keys.")


class ApiKeyRequest(Schema):
    """What a program is to be allowed."""

    name = Name(required=True)
    permissions = required(
        ma.fields.List, Choice(list(Permission)), about="Some of one's own.", validate=validate.Length(1, 100)
    )
    expires_at = ma.fields.AwareDateTime(allow_none=True, metadata={"description": "Default: never."})


class ApiKeySchema(Schema):
    """An API key; the key itself is shown only once."""

    id = ma.fields.String(required=True)
    name = ma.fields.String(required=True)
    hint = required(ma.fields.String, about="How the key begins.")
    permissions = ma.fields.List(ma.fields.String(), required=True)
    created_at = ma.fields.DateTime(required=True)
    expires_at = nullable(ma.fields.DateTime)
    last_used_at = nullable(ma.fields.DateTime, about="To the minute.")


class NewApiKeySchema(ApiKeySchema):
    """A new API key."""

    key = required(ma.fields.String, about="For the header X-Api-Key; not shown again.")


class ApiKeysSchema(Schema):
    """All API keys of the user that were not deleted."""

    items = ma.fields.List(ma.fields.Nested(ApiKeySchema), required=True)


@blueprint.operation("GET", "", Access(Permission.PROFILE_READ), Answers({200: UserSchema}))
def get_profile(call: Call) -> Response:
    """Oneself."""
    return success(user_row(users.get(call.db, call.identity.user_id)))


@blueprint.operation(
    "PATCH",
    "",
    Access(Permission.PROFILE_EDIT, confirmed=f"another e-mail address, where {_UNPROVEN}"),
    Answers({200: UserSchema, 202: PendingSchema}, errors=(404, 409, 503)),
    Takes(body=ProfileRequest),
    own_units=True,
)
def edit_profile(call: Call, body: dict[str, Any]) -> Response:
    """Change one's name or e-mail address; an address takes the current password, or a Plex PIN where there is none.

    The answer is the same whether somebody else has the address or not. Both addresses are told by mail.
    """
    if _awaits_pin(call, body):
        return success({"status": "pending"}, 202)
    with proving(call, "user.updated", guess="current_password" in body), call.runtime.unit_of_work() as db:
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
    Access(Permission.PROFILE_EDIT, session_only=True, confirmed=_UNPROVEN),
    Answers({200: PasswordChangedSchema, 202: PendingSchema}, errors=(404, 409, 503)),
    Takes(body=PasswordRequest),
    own_units=True,
)
def change_password(call: Call, body: dict[str, Any]) -> Response:
    """Change one's password, sign out everywhere else, revoke all API keys. Who came with Plex sets their first one."""
    if _awaits_pin(call, body):
        return success({"status": "pending"}, 202)
    with (
        proving(call, "password.changed", guess="current_password" in body),
        call.runtime.unit_of_work() as db,
    ):
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
    "GET", "/api-keys", Access(Permission.PROFILE_EDIT, session_only=True), Answers({200: ApiKeysSchema})
)
def list_api_keys(call: Call) -> Response:
    """One's own API keys, newest first."""
    rows = api_keys.listing(call.db, call.identity.user_id)
    return success({"items": [ApiKeySchema.row(row) for row in rows]})


@blueprint.operation(
    "POST",
    "/api-keys",
    Access(Permission.PROFILE_EDIT, session_only=True, confirmed="always"),
    Answers({201: NewApiKeySchema}, errors=(409,)),
    Takes(body=ApiKeyRequest),
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
    return success({"key": key, **ApiKeySchema.row(row)}, 201)


@blueprint.operation(
    "DELETE",
    "/api-keys/<id:key_id>",
    Access(Permission.PROFILE_EDIT, session_only=True),
    Answers({200: ApiKeySchema}),
)
def revoke_api_key(call: Call, key_id: str) -> Response:
    """End a key; whatever uses it is out from the next request."""
    row = api_keys.revoke(call.db, key_id, user_id=call.identity.user_id, actor=call.actor)
    return success(ApiKeySchema.row(row))


def _awaits_pin(call: Call, body: dict[str, Any]) -> bool:
    """Confirm by the PIN where one is given; True where it has not been claimed yet."""
    return "pin_id" in body and confirm_by_pin(call, body["pin_id"]) is None
