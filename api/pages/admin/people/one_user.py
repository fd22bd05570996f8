"""`/admin/users/<id>`: one user: what they are, what they have, and all that can be done with the account."""

from __future__ import annotations

from flask import Response

from api.pages.admin import audit_words
from api.pages.admin.people import roles as people
from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.pages.look.words import ngettext
from api.wire.fields import Choice, Email, Name, Schema
from engine import audit
from engine.accounts import administration, password_reset, user_list, users
from engine.accounts.users import TIERS
from engine.errors import Conflict
from engine.identity import sessions
from engine.mails import mails
from engine.permissions import ROLES, Permission, is_admin, permissions_of

pages = PageBlueprint("admin.one_user")

_DONE_BY_THEM = 8  # entries of the audit log


class UserForm(Schema):
    """What is entered about a user."""

    name = Name(required=True)
    email = Email()
    tier = Choice(TIERS, required=True)


class RoleForm(Schema):
    """What they are to be."""

    role = Choice(ROLES, required=True)


@pages.page("/admin/users/<id:user_id>", Permission.USERS_MANAGE)
def user_page(visit: Visit, user_id: str) -> Response:
    """One user."""
    user, has = user_list.details(visit.db, user_id)
    lately = audit.listing(visit.db, page=1, limit=_DONE_BY_THEM, filters={"actor_id": user.id})
    return visit.show(
        "admin/user.html",
        here="admin/users",
        user=user,
        has=has,
        state=people.state_of(user),
        myself=user.id == visit.identity.user_id,
        above=bool(permissions_of(user.role) - visit.identity.permissions),
        an_admin=is_admin(user.role),
        role=_(people.ROLE_NAMES[user.role]),
        roles=people.roles_below(visit.identity),
        tiers=people.tiers(),
        sessions=sessions.listing(visit.db, user.id),
        lately=lately.items,
        told=audit_words.told,
        can_mail=mails.can_be_sent(visit.settings),
    )


@pages.form("/admin/users/<id:user_id>", Permission.USERS_MANAGE, again=user_page)
def change_user(visit: Visit, user_id: str) -> Response:
    """Change name, address or tier."""
    entered = visit.entered(UserForm)
    user = administration.change(
        visit.db, visit.settings, user_id, by=visit.identity, actor=visit.actor, **entered
    )
    return visit.go(f"admin/users/{user.id}", _("It is saved."))


@pages.form("/admin/users/<id:user_id>/role", Permission.USERS_MANAGE, again=user_page)
def change_role(visit: Visit, user_id: str) -> Response:
    """Give them another role."""
    role = visit.entered(RoleForm)["role"]
    user = administration.set_role(
        visit.db, visit.settings, user_id, role, by=visit.identity, actor=visit.actor
    )
    told = _("{name} is now: {role}. It holds from their next click.")
    return visit.go(
        f"admin/users/{user.id}", told.format(name=user.name, role=_(people.ROLE_NAMES[user.role]))
    )


@pages.form("/admin/users/<id:user_id>/disable", Permission.USERS_MANAGE)
def disable_user(visit: Visit, user_id: str) -> Response:
    """Close the account, which can be opened again."""
    user = administration.change(
        visit.db, visit.settings, user_id, by=visit.identity, actor=visit.actor, disabled=True
    )
    told = _("{name} can't sign in any more. All their sessions and API keys have ended.")
    return visit.go(f"admin/users/{user.id}", told.format(name=user.name))


@pages.form("/admin/users/<id:user_id>/enable", Permission.USERS_MANAGE)
def enable_user(visit: Visit, user_id: str) -> Response:
    """Open the account again."""
    user = administration.change(
        visit.db, visit.settings, user_id, by=visit.identity, actor=visit.actor, disabled=False
    )
    return visit.go(f"admin/users/{user.id}", _("{name} can sign in again.").format(name=user.name))


@pages.form("/admin/users/<id:user_id>/sessions/end", Permission.USERS_MANAGE)
def end_sessions(visit: Visit, user_id: str) -> Response:
    """Sign them out everywhere."""
    ended = administration.end_sessions(visit.db, user_id, by=visit.identity, actor=visit.actor)
    told = ngettext("One session has ended.", "%(num)d sessions have ended.", ended) % {"num": ended}
    return visit.go(f"admin/users/{user_id}", told)


@pages.form("/admin/users/<id:user_id>/reset", Permission.USERS_MANAGE, limit="work")
def mail_reset(visit: Visit, user_id: str) -> Response:
    """Have a link mailed to them by which they choose a new password."""
    user = users.get(visit.db, user_id)
    if user.email is None or user.password_hash is None:
        raise Conflict("They sign in with Plex and have no password.")
    if not mails.can_be_sent(visit.settings):
        raise Conflict("Mails can't be sent: set up the mail server in the settings first.")
    visit.spend("password_reset", email=user.email)
    password_reset.request(visit.db, visit.settings, user.email, visit.actor)
    told = _("A link by which {name} can choose a new password is on its way to {email}.")
    return visit.go(f"admin/users/{user_id}", told.format(name=user.name, email=user.email))


@pages.form("/admin/users/<id:user_id>/delete", Permission.USERS_MANAGE)
def delete_user(visit: Visit, user_id: str) -> Response:
    """Delete the account for good."""
    user = administration.delete(visit.db, user_id, by=visit.identity, actor=visit.actor)
    told = _("{name} is deleted. What they have finished stays, without their name.")
    return visit.go("admin/users", told.format(name=user.name))
