"""`/account/plex`: the Plex account that one signs in with too."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.operations.proving import proving
from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.pages.sign_in import plex_codes
from api.pages.sign_in.plex_codes import PlexCodeQuery
from api.wire.fields import Password, Schema
from engine.accounts import plex_accounts, plex_sign_in, users
from engine.errors import NotFound
from engine.identity.passwords import MAX_LENGTH
from engine.permissions import Permission

pages = PageBlueprint("account_plex")


class LinkForm(Schema):
    """The password as proof, where there is one."""

    current_password = Password(MAX_LENGTH)


@pages.page("/account/plex", Permission.PROFILE_EDIT, query=PlexCodeQuery)
def plex_page(visit: Visit, query: dict[str, Any] | None = None) -> Response:
    """Link a Plex account."""
    user = users.get(visit.db, visit.identity.user_id)
    return visit.show("account/plex.html", here="account", user=user, code=plex_codes.waiting(visit))


@pages.form("/account/plex", Permission.PROFILE_EDIT, again=plex_page, own_units=True)
def begin_link(visit: Visit) -> Response:
    """Get a code from plex.tv."""
    return plex_codes.begin(visit, "account/plex")


@pages.form("/account/plex/link", Permission.PROFILE_EDIT, again=plex_page, own_units=True)
def link_plex(visit: Visit) -> Response:
    """Link the Plex account that the code was entered with."""
    link_account(visit)
    return visit.go("account", _("Your Plex account is linked: you can sign in with it too."))


@pages.form("/account/plex/unlink", Permission.PROFILE_EDIT, back="account")
def unlink_plex(visit: Visit) -> Response:
    """Forget one's Plex account."""
    plex_accounts.unlink(visit.db, visit.settings, visit.identity.user_id, visit.actor)
    return visit.go("account", _("Your Plex account is no longer linked."))


def link_account(visit: Visit) -> None:
    """Link the Plex account that claimed the code which the form names.

    Raises:
        NotFound: it was not entered yet, or has expired.
    """
    code = plex_codes.waiting(visit)
    if code is None:
        raise NotFound(_("The code is no longer good: get a new one."))
    password = visit.entered(LinkForm).get("current_password")
    with proving(visit, "user.updated", guess=password is not None):
        user = plex_sign_in.link(
            visit.runtime,
            code.pin_id,
            nonce=visit.browser,
            mine=visit.identity,
            password=password,
            actor=visit.actor,
        )
    if user is None:
        raise NotFound(_("Plex has not seen the code yet. Type it there first, then go on."))
