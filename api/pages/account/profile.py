"""`/account`: who one is here: name, e-mail address, password; and what else belongs to one."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from api.operations.proving import proving
from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import LANGUAGES
from api.pages.look.words import gettext as _
from api.wire.fields import Email, Name, Password, Schema
from engine.accounts import profile, users
from engine.accounts.sign_in_notices import device_name
from engine.identity import api_keys, sessions
from engine.identity.passwords import MAX_LENGTH, MIN_LENGTH
from engine.permissions import Permission

pages = PageBlueprint("account")


class NameForm(Schema):
    """Another name."""

    name = Name(required=True)


class AddressForm(Schema):
    """Another e-mail address, and the password as proof, where there is one."""

    email = Email(required=True)
    current_password = Password(MAX_LENGTH)


class PasswordForm(Schema):
    """Another password, and the one so far as proof, where there is one."""

    current_password = Password(MAX_LENGTH)
    new_password = Password(MAX_LENGTH, MIN_LENGTH, required=True)


@pages.page("/account", Permission.PROFILE_READ)
def account_page(visit: Visit, **_path: Any) -> Response:
    """Oneself."""
    user = users.get(visit.db, visit.identity.user_id)
    may_edit = Permission.PROFILE_EDIT in visit.identity.permissions
    return visit.show(
        "account/account.html",
        here="account",
        user=user,
        may_edit=may_edit,
        devices=[
            (row, device_name(row.user_agent), row.id == visit.identity.session_id)
            for row in sessions.listing(visit.db, user.id)
        ],
        keys=len(api_keys.listing(visit.db, user.id)) if may_edit else 0,
        plex_enabled=visit.settings.plex_enabled,
        languages=list(LANGUAGES.items()),
        share=f"{visit.settings.public_url or request.url_root.rstrip('/')}/share?url=",
    )


@pages.form("/account/name", Permission.PROFILE_EDIT, again=account_page)
def change_name(visit: Visit) -> Response:
    """Change one's name."""
    profile.change(visit.db, visit.settings, visit.identity, actor=visit.actor, **visit.entered(NameForm))
    return visit.go("account", _("Your name is changed."))


@pages.page("/account/email", Permission.PROFILE_EDIT)
def address_page(visit: Visit) -> Response:
    """Another e-mail address."""
    return visit.show("account/email.html", here="account", user=users.get(visit.db, visit.identity.user_id))


@pages.form("/account/email", Permission.PROFILE_EDIT, again=address_page, own_units=True)
def change_address(visit: Visit) -> Response:
    """Change one's e-mail address."""
    entered = visit.entered(AddressForm)
    password = entered.get("current_password")
    with (
        proving(visit, "user.updated", guess=password is not None),
        visit.runtime.unit_of_work() as db,
    ):
        profile.change(
            db, visit.settings, visit.identity, actor=visit.actor, email=entered["email"], password=password
        )
    return visit.go("account", _("From now on you sign in with %(email)s.") % {"email": entered["email"]})


@pages.page("/account/password", Permission.PROFILE_EDIT)
def password_page(visit: Visit) -> Response:
    """Another password."""
    return visit.show(
        "account/password.html", here="account", user=users.get(visit.db, visit.identity.user_id)
    )


@pages.form("/account/password", Permission.PROFILE_EDIT, again=password_page, own_units=True)
def change_password(visit: Visit) -> Response:
    """Change one's password; all other devices are signed out, and all API keys end."""
    entered = visit.entered(PasswordForm)
    current = entered.get("current_password")
    with (
        proving(visit, "password.changed", guess=current is not None),
        visit.runtime.unit_of_work() as db,
    ):
        profile.change_password(
            db,
            visit.settings,
            visit.identity,
            actor=visit.actor,
            current=current,
            new=entered["new_password"],
        )
    return visit.go(
        "account", _("Your password is changed. All other devices are signed out, and all API keys are gone.")
    )
