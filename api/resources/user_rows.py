"""Users as they see themselves."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import validate

from api.wire.fields import Schema, nullable, required
from engine.accounts.users import TIERS
from engine.permissions import ROLES, Permission, permissions_of
from models.user import User


class UserSchema(Schema):
    """A user, as they see themselves."""

    id = ma.fields.String(required=True)
    username = required(ma.fields.String, about="At Plex, where they sign in with Plex; else the name.")
    email = nullable(ma.fields.String)
    name = ma.fields.String(required=True)
    role = ma.fields.String(required=True, validate=validate.OneOf(ROLES))
    tier = ma.fields.String(required=True, validate=validate.OneOf(TIERS))
    permissions = ma.fields.List(ma.fields.String(validate=validate.OneOf(list(Permission))), required=True)
    plex_username = nullable(ma.fields.String)
    avatar_url = nullable(ma.fields.String, about="From Plex.", attribute="plex_avatar")
    has_password = required(
        ma.fields.Boolean, about="Whether they can sign in with e-mail address and password."
    )
    created_at = ma.fields.DateTime(required=True)
    last_login_at = nullable(ma.fields.DateTime)


def user_row(user: User) -> dict[str, Any]:
    """A user, as they see themselves."""
    return UserSchema.row(
        user,
        username=user.plex_username or user.name,
        permissions=sorted(permissions_of(user.role)),
        has_password=user.password_hash is not None,
    )
