"""Users as clients see them: themselves, and those who look after them."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import validate

from api.wire.fields import Schema
from engine.permissions import ROLES, Permission, permissions_of
from models.user import User

TIERS = ("standard", "premium")


class UserSchema(Schema):
    """A user, as he sees himself."""

    id = ma.fields.String(required=True)
    username = ma.fields.String(
        required=True, metadata={"description": "At Plex, where he signs in with Plex; else the name."}
    )
    email = ma.fields.String(required=True, allow_none=True)
    name = ma.fields.String(required=True)
    role = ma.fields.String(required=True, validate=validate.OneOf(ROLES))
    tier = ma.fields.String(required=True, validate=validate.OneOf(TIERS))
    permissions = ma.fields.List(ma.fields.String(validate=validate.OneOf(list(Permission))), required=True)
    plex_username = ma.fields.String(required=True, allow_none=True)
    avatar_url = ma.fields.String(required=True, allow_none=True, metadata={"description": "From Plex."})
    has_password = ma.fields.Boolean(
        required=True, metadata={"description": "Whether he can sign in with e-mail address and password."}
    )
    created_at = ma.fields.DateTime(required=True)
    last_login_at = ma.fields.DateTime(required=True, allow_none=True)


def user_row(user: User) -> dict[str, Any]:
    """A user, as he sees himself."""
    return {
        "id": user.id,
        "username": user.plex_username or user.name,
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "tier": user.tier,
        "permissions": sorted(permissions_of(user.role)),
        "plexUsername": user.plex_username,
        "avatarUrl": user.plex_avatar,
        "hasPassword": user.password_hash is not None,
        "createdAt": user.created_at,
        "lastLoginAt": user.last_login_at,
    }
