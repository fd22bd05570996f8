"""`/forgotten-password`: a link for a new password, by mail."""

from __future__ import annotations

from flask import Response

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.wire.fields import Email, Schema
from engine.accounts import password_reset

pages = PageBlueprint("forgotten_password")


class ForgottenForm(Schema):
    """Whose password."""

    email = Email(required=True)


@pages.page("/forgotten-password", None)
def forgotten_password_page(visit: Visit) -> Response:
    """Have a link mailed."""
    return visit.show("sign-in/forgotten.html", asked="", mails=bool(visit.settings.smtp_url))


@pages.form("/forgotten-password", None, again=forgotten_password_page, limit="login")
def ask_for_reset(visit: Visit) -> Response:
    """Mail a link if an account has the address; the answer is the same where none has."""
    email = visit.entered(ForgottenForm)["email"]
    visit.spend("password_reset", email=email)
    password_reset.request(visit.db, visit.settings, email, visit.actor)
    return visit.show("sign-in/forgotten.html", asked=email, mails=True)
