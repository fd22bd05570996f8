"""`/admin/cookies`: the cookie file that downloads may show to sites; written, never read back."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.wire.envelope import success
from api.wire.fields import Lines, Schema, nullable
from engine.downloads.sources import cookies
from engine.permissions import Permission

blueprint = Blueprint("cookies", "/admin/cookies", "Cookies for sites that ask downloads to sign in.")


class CookiesRequest(Schema):
    """A cookie file."""

    cookies = Lines(
        500_000,
        required=True,
        metadata={"description": "In Netscape format, as browsers' extensions export it."},
    )


class CookiesSchema(Schema):
    """What may be said of the stored file."""

    stored_at = ma.fields.DateTime(required=True)
    count = ma.fields.Integer(required=True)
    domains = ma.fields.List(ma.fields.String(), required=True)
    expires_at = nullable(ma.fields.DateTime, about="When the first of them expires.")


@blueprint.operation(
    "GET", "", Access(Permission.INTEGRATIONS_CONFIGURE), Answers({200: CookiesSchema}, errors=(404,))
)
def get_cookies(call: Call) -> Response:
    """Whether cookies are stored, and for which sites."""
    return success(CookiesSchema.row(cookies.describe(call.db, call.settings)))


@blueprint.operation(
    "PUT",
    "",
    Access(Permission.INTEGRATIONS_CONFIGURE, session_only=True, confirmed="always"),
    Answers({200: CookiesSchema}),
    Takes(body=CookiesRequest),
)
def store_cookies(call: Call, body: dict[str, Any]) -> Response:
    """Store a cookie file, encrypted, in place of what was there."""
    return success(CookiesSchema.row(cookies.store(call.db, call.settings, body["cookies"], call.actor)))


@blueprint.operation(
    "DELETE",
    "",
    Access(Permission.INTEGRATIONS_CONFIGURE, session_only=True, confirmed="always"),
    Answers({200: CookiesSchema}, errors=(404,)),
)
def delete_cookies(call: Call) -> Response:
    """Forget the cookies."""
    return success(CookiesSchema.row(cookies.forget(call.db, call.settings, call.actor)))
