"""`/invitation` and `/reset-password`: the pages that the links in our mails lead to."""

from __future__ import annotations

from flask import Response, request

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.security.authentication import device
from api.security.session_cookies import begin
from api.wire.fields import Name, Password, Schema, Text
from engine.accounts import invitations, password_reset
from engine.accounts.sign_in import sign_in
from engine.errors import NotFound
from engine.identity.passwords import MAX_LENGTH, MIN_LENGTH

pages = PageBlueprint("mail_links")


class AcceptanceForm(Schema):
    """What the link holds, and the account that it is to make."""

    token = Text(200, required=True)
    name = Name(required=True)
    password = Password(MAX_LENGTH, MIN_LENGTH, required=True)


class NewPasswordForm(Schema):
    """What the link holds, and the new password."""

    token = Text(200, required=True)
    new_password = Password(MAX_LENGTH, MIN_LENGTH, required=True)


@pages.page("/invitation", None)
def invitation_page(visit: Visit) -> Response:
    """Accept an invitation."""
    token = request.values.get("token", "")
    email = invitations.invited_address(visit.db, token) if token else None
    return visit.show("sign-in/invitation.html", token=token, email=email)


@pages.form("/invitation", None, again=invitation_page, limit="tier")
def accept_invitation(visit: Visit) -> Response:
    """Make the account of an invitation, and sign in."""
    entered = visit.entered(AcceptanceForm)
    user = invitations.accept(visit.db, visit.settings, **entered, address=visit.actor.address)
    started = sign_in(visit.db, visit.settings, user, method="invitation", device=device(request))
    answer = visit.go("", _("Welcome, %(name)s. Your account is ready.") % {"name": user.name})
    return begin(answer, visit.settings, started)


@pages.page("/reset-password", None)
def reset_password_page(visit: Visit) -> Response:
    """Choose a new password."""
    token, token_id = (request.values.get(name, "").replace("\0", "") for name in ("token", "tokenId"))
    return visit.show(
        "sign-in/reset-password.html", token=token, token_id=token_id, holds=_holds(visit, token, token_id)
    )


@pages.form("/reset-password", None, again=reset_password_page, limit="tier")
def reset_password(visit: Visit) -> Response:
    """Give the account the new password, and sign it out everywhere."""
    entered = visit.entered(NewPasswordForm)
    password_reset.confirm(
        visit.db,
        visit.settings,
        entered["token"],
        entered["new_password"],
        address=visit.actor.address,
    )
    return visit.go(
        "sign-in", _("Your password is changed, and you are signed out everywhere. Sign in with the new one.")
    )


def _holds(visit: Visit, token: str, token_id: str) -> bool:
    try:
        password_reset.check(visit.db, token, token_id)
    except NotFound:
        return False
    return True
