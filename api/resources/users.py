"""`/admin/users`: all users, for admins."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from marshmallow import validate

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.resources.admin_requests import QuotaSchema
from api.wire.envelope import success
from api.wire.fields import (
    Choice,
    Email,
    Flag,
    Name,
    PageQuery,
    Pagination,
    Password,
    Schema,
    Text,
    nullable,
    page_data,
    required,
)
from engine.accounts import administration, user_list
from engine.accounts.user_list import SORTS, STATUSES
from engine.accounts.users import TIERS
from engine.identity.passwords import MAX_LENGTH, MIN_LENGTH
from engine.permissions import ROLES, Permission
from models.user import User

blueprint = Blueprint("users", "/admin/users", "Who may sign in, and as what.")

_ALL = "all"


class UsersQuery(PageQuery):
    """Which users."""

    role = Choice((_ALL, *ROLES), load_default=_ALL)
    status = Choice((_ALL, *STATUSES), load_default=_ALL)
    search = Text(100, 0, strip=True, metadata={"description": "Part of a name, address or Plex name."})
    sort = Choice(SORTS, load_default="createdAt:desc")


class NewUserRequest(Schema):
    """A new user, who signs in with e-mail address and password."""

    email = Email(required=True)
    name = Name(required=True)
    password = Password(MAX_LENGTH, MIN_LENGTH, required=True)
    role = Choice(ROLES, load_default="user")
    tier = Choice(TIERS, load_default="standard", metadata={"description": "For rate limits only."})


class UserChangeRequest(Schema):
    """What to change; what is missing stays."""

    name = Name()
    email = Email()
    tier = Choice(TIERS)
    disabled = Flag(metadata={"description": "Disabling ends all sessions and API keys."})
    requests_per_days = ma.fields.Nested(
        QuotaSchema,
        allow_none=True,
        metadata={"description": "Their own quota of requests; null: that of their role."},
    )


class RoleRequest(Schema):
    """What a user is to be."""

    role = Choice(ROLES, required=True)


class ManagedUserSchema(Schema):
    """A user, as admins see them."""

    id = ma.fields.String(required=True)
    email = nullable(ma.fields.String)
    name = ma.fields.String(required=True)
    username = ma.fields.String(required=True)
    role = ma.fields.String(required=True, validate=validate.OneOf(ROLES))
    tier = ma.fields.String(required=True, validate=validate.OneOf(TIERS))
    plex_username = nullable(ma.fields.String)
    avatar_url = nullable(ma.fields.String, attribute="plex_avatar")
    has_password = ma.fields.Boolean(required=True)
    disabled = ma.fields.Boolean(required=True)
    disabled_reason = nullable(
        ma.fields.String, about="admin, or plex where their access to the Plex server ended."
    )
    requests_per_days = nullable(
        ma.fields.Nested, QuotaSchema, about="Their own quota of requests; null: that of their role."
    )
    created_at = ma.fields.DateTime(required=True)
    last_login_at = nullable(ma.fields.DateTime)


class BelongingsSchema(Schema):
    """How much a user has."""

    sessions = ma.fields.Integer(required=True)
    api_keys = ma.fields.Integer(required=True)
    downloads = ma.fields.Integer(required=True)


class UserDetailsSchema(ManagedUserSchema):
    """A user and how much they have."""

    counts = ma.fields.Nested(BelongingsSchema, required=True)


class UsersPagination(Pagination):
    """Where a page stands in the list of users."""

    total_users = required(ma.fields.Integer, about="The same as totalItems.")


class UsersPage(Schema):
    """A page of users."""

    users = ma.fields.List(ma.fields.Nested(ManagedUserSchema), required=True)
    pagination = ma.fields.Nested(UsersPagination, required=True)


@blueprint.operation(
    "GET", "", Access(Permission.USERS_MANAGE), Answers({200: UsersPage}), Takes(query=UsersQuery)
)
def list_users(call: Call, query: dict[str, Any]) -> Response:
    """Users, the newest first unless sorted otherwise."""
    page = user_list.listing(
        call.db,
        page=query["page"],
        limit=query["limit"],
        role=None if query["role"] == _ALL else query["role"],
        status=None if query["status"] == _ALL else query["status"],
        search=query.get("search"),
        sort=query["sort"],
    )
    found = page_data(page, [])["pagination"]
    shown = [managed_user_row(user) for user in page.items]
    return success({"users": shown, "pagination": {**found, "totalUsers": page.total}})


@blueprint.operation(
    "POST",
    "",
    Access(Permission.USERS_MANAGE, confirmed="the role is admin or above"),
    Answers({201: ManagedUserSchema}, errors=(409,)),
    Takes(body=NewUserRequest),
)
def create_user(call: Call, body: dict[str, Any]) -> Response:
    """Create a user with address and password; the role may have no permission that the acting admin lacks."""
    user = administration.create(call.db, call.settings, by=call.identity, actor=call.actor, **body)
    return success(managed_user_row(user), 201)


@blueprint.operation(
    "GET", "/<id:user_id>", Access(Permission.USERS_MANAGE), Answers({200: UserDetailsSchema})
)
def get_user(call: Call, user_id: str) -> Response:
    """One user, and how much they have."""
    user, has = user_list.details(call.db, user_id)
    return success({**managed_user_row(user), "counts": BelongingsSchema.row(has)})


@blueprint.operation(
    "PATCH",
    "/<id:user_id>",
    Access(
        Permission.USERS_MANAGE,
        confirmed="another e-mail address, or an admin who is disabled or let in again",
    ),
    Answers({200: ManagedUserSchema}, errors=(409,)),
    Takes(body=UserChangeRequest),
)
def edit_user(call: Call, body: dict[str, Any], user_id: str) -> Response:
    """Change or disable a user; their password is theirs alone, and set anew by a reset.

    One's own address is changed at PATCH /users/me alone.
    """
    user = administration.change(call.db, call.settings, user_id, by=call.identity, actor=call.actor, **body)
    return success(managed_user_row(user))


@blueprint.operation(
    "PATCH",
    "/<id:user_id>/role",
    Access(Permission.USERS_MANAGE, session_only=True, confirmed="always"),
    Answers({200: ManagedUserSchema}, errors=(409,)),
    Takes(body=RoleRequest),
)
def set_user_role(call: Call, body: dict[str, Any], user_id: str) -> Response:
    """Change the role of a user, not one's own; it holds from their next request."""
    user = administration.set_role(
        call.db, call.settings, user_id, body["role"], by=call.identity, actor=call.actor
    )
    return success(managed_user_row(user))


@blueprint.operation(
    "DELETE",
    "/<id:user_id>",
    Access(Permission.USERS_MANAGE, confirmed="an admin"),
    Answers({200: ManagedUserSchema}, errors=(409,)),
)
def delete_user(call: Call, user_id: str) -> Response:
    """Delete a user: cancel what they have under way, keep what they have finished without their name."""
    user = administration.delete(call.db, user_id, by=call.identity, actor=call.actor)
    return success(managed_user_row(user))


def managed_user_row(user: User) -> dict[str, Any]:
    """A user, as admins see them."""
    return ManagedUserSchema.row(
        user,
        username=user.plex_username or user.name,
        has_password=user.password_hash is not None,
        disabled=user.disabled_at is not None,
    )
