"""`/auth/password-reset`: a forgotten password, by a link in a mail."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import PUBLIC, Answers, Takes
from api.wire.envelope import success
from api.wire.fields import Email, Password, Schema, Text
from engine.accounts import password_reset
from engine.identity.passwords import MAX_LENGTH, MIN_LENGTH

blueprint = Blueprint("password reset", "/auth/password-reset", "A forgotten password.")

_ASKED = "If an account with a password has this address, a mail with a link is on its way to it."
_DONE = "The password was changed. Sign in with the new one."


class ResetRequest(Schema):
    """Whose password."""

    email = Email(required=True)


class VerifyRequest(Schema):
    """What the link in the mail holds."""

    token = Text(200, required=True)
    token_id = Text(80, required=True)


class ConfirmRequest(Schema):
    """A new password, and the proof that one may choose it."""

    token = Text(200, required=True)
    new_password = Password(MAX_LENGTH, MIN_LENGTH, required=True)


class SaidSchema(Schema):
    """A sentence for people."""

    message = ma.fields.String(required=True)


class OpenResetSchema(Schema):
    """A reset that holds."""

    valid = ma.fields.Boolean(required=True, metadata={"enum": [True]})
    expires_at = ma.fields.DateTime(required=True)


@blueprint.operation("POST", "/request", PUBLIC, Answers({200: SaidSchema}), Takes(body=ResetRequest))
def request_password_reset(call: Call, body: dict[str, Any]) -> Response:
    """Ask for a link by mail; the answer is the same whether there is such an account or not."""
    call.spend("password_reset", email=body["email"])
    password_reset.request(call.db, call.settings, body["email"], call.actor)
    return success({"message": _ASKED})


@blueprint.operation(
    "POST", "/verify", PUBLIC, Answers({200: OpenResetSchema}, errors=(404,)), Takes(body=VerifyRequest)
)
def verify_password_reset(call: Call, body: dict[str, Any]) -> Response:
    """Whether a link still holds; 404 for one that is unknown, used or expired."""
    until = password_reset.check(call.db, body["token"], body["token_id"])
    return success({"valid": True, "expiresAt": until})


@blueprint.operation(
    "POST", "/confirm", PUBLIC, Answers({200: SaidSchema}, errors=(404,)), Takes(body=ConfirmRequest)
)
def confirm_password_reset(call: Call, body: dict[str, Any]) -> Response:
    """Choose a new password, once a link; ends all sessions of the account and revokes its API keys."""
    password_reset.confirm(
        call.db, call.settings, body["token"], body["new_password"], address=call.actor.address
    )
    return success({"message": _DONE})
