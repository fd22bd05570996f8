"""`/auth/confirm`: a signed-in user proves by password or Plex PIN that it is they, and not a thief of their tokens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
from flask import Response

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.operations.proving import confirm_by_pin, proving
from api.wire.envelope import success
from api.wire.errors import InvalidRequest
from api.wire.fields import Choice, Password, Schema, Text, required
from engine.identity import confirmation
from engine.identity.passwords import MAX_LENGTH
from engine.permissions import Permission

blueprint = Blueprint("confirmation", "/auth/confirm", "Proving that one is there oneself.")


class ProofRequest(Schema):
    """One proof: the password, or a Plex PIN."""

    password = Password(MAX_LENGTH)
    pin_id = Text(
        30, metadata={"description": "Of POST /auth/plex/pin, claimed with the Plex account that is linked."}
    )


class ConfirmedSchema(Schema):
    """How long the proof counts, on this device."""

    confirmed_until = ma.fields.DateTime(required=True)
    expires_in = required(ma.fields.Integer, about="Seconds.")


class PendingSchema(Schema):
    """The PIN is not claimed yet: ask again in a second or two."""

    status = Choice(("pending",), required=True)


@blueprint.operation(
    "POST",
    "",
    Access(Permission.PROFILE_READ, session_only=True),
    Answers({200: ConfirmedSchema, 202: PendingSchema}, errors=(404, 409, 503)),
    Takes(body=ProofRequest),
    own_units=True,
)
def confirm(call: Call, body: dict[str, Any]) -> Response:
    """Prove that it is you, for 10 minutes (CONFIRMATION_SECONDS) on this device, by your password or by a Plex PIN.

    Signing in does so too, renewing tokens does not. What answers 403 CONFIRMATION_REQUIRED can be done after that.
    """
    if len(body) != 1:
        words = ["Give exactly one of password and pinId."]
        raise InvalidRequest({"password": words, "pinId": words})
    if "pin_id" in body:
        until = confirm_by_pin(call, body["pin_id"])
        return success({"status": "pending"}, 202) if until is None else _confirmed(until)
    with proving(call, "auth.confirmed", guess=True), call.runtime.unit_of_work() as db:
        until = confirmation.by_password(db, call.settings, call.identity, body["password"], actor=call.actor)
    return _confirmed(until)


def _confirmed(until: datetime) -> Response:
    left = (until - datetime.now(UTC)).total_seconds()
    return success({"confirmedUntil": until, "expiresIn": max(0, round(left))})
