"""`/admin/users`: the list of users, and adding one."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.pages.admin.people import roles as people
from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.wire.fields import Choice, Email, Name, PageQuery, Password, Schema, Text
from engine.accounts import administration, invitations, user_list
from engine.accounts.users import TIERS
from engine.identity.passwords import MAX_LENGTH, MIN_LENGTH
from engine.permissions import ROLES, Permission

pages = PageBlueprint("admin.users")


class UsersFilter(PageQuery):
    """Which users."""

    role = Choice(ROLES)
    status = Choice(user_list.STATUSES)
    search = Text(100, strip=True)
    sort = Choice(user_list.SORTS, load_default="createdAt:desc")


class NewUserForm(Schema):
    """A user who signs in with address and password."""

    name = Name(required=True)
    email = Email(required=True)
    password = Password(MAX_LENGTH, MIN_LENGTH, required=True)
    role = Choice(ROLES, required=True)
    tier = Choice(TIERS, required=True)


@pages.page("/admin/users", Permission.USERS_MANAGE, query=UsersFilter)
def users_page(visit: Visit, query: dict[str, Any]) -> Response:
    """All users, as they are filtered and sorted."""
    everybody = user_list.listing(visit.db, page=1, limit=1).total
    return visit.show(
        "admin/users.html",
        here="admin/users",
        everybody=everybody,
        disabled=user_list.listing(visit.db, page=1, limit=1, status="disabled").total,
        invited=invitations.listing(visit.db, page=1, limit=1, status="open").total,
        found=user_list.listing(visit.db, **query),
        query=query,
        role_names=people.ROLE_NAMES,
        roles=[("", _("all roles")), *((role, _(words)) for role, words in people.ROLE_NAMES.items())],
        state_of=people.state_of,
    )


@pages.page("/admin/users/new", Permission.USERS_MANAGE)
def new_user_page(visit: Visit) -> Response:
    """Add a user, with a password that an admin hands over."""
    return visit.show(
        "admin/new-user.html",
        here="admin/users",
        roles=people.roles_below(visit.identity),
        tiers=people.tiers(),
    )


@pages.form("/admin/users/new", Permission.USERS_MANAGE, again=new_user_page)
def add_user(visit: Visit) -> Response:
    """Add them."""
    user = administration.create(
        visit.db, visit.settings, by=visit.identity, actor=visit.actor, **visit.entered(NewUserForm)
    )
    told = _("{name} can sign in now. Tell them their password in private.")
    return visit.go(f"admin/users/{user.id}", told.format(name=user.name))
