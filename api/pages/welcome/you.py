"""`/welcome`: the first administrator, then the step at which the first run was left."""

from __future__ import annotations

from flask import Response, request

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.welcome import steps
from api.security.authentication import device
from api.security.own_hosts import refuse_foreign_host
from api.security.session_cookies import begin
from api.wire.fields import Email, Name, Password, Schema, Text
from engine.accounts import users
from engine.accounts.sign_in import sign_in
from engine.identity.passwords import MAX_LENGTH, MIN_LENGTH
from engine.permissions import Permission

pages = PageBlueprint("welcome")


class FirstForm(Schema):
    """The first administrator."""

    email = Email(required=True)
    password = Password(MAX_LENGTH, MIN_LENGTH, required=True)
    name = Name(required=True)
    setup_token = Text(500)


@pages.page("/welcome", None)
def welcome_page(visit: Visit) -> Response:
    """The form for the first administrator while there is none; else the step at which the first run was left."""
    if users.is_bootstrapped(visit.db):
        return visit.go("welcome/next")
    return steps.shown(visit, "welcome/you", takes_token=users.takes_setup_token(visit.settings))


@pages.form("/welcome", None, again=welcome_page)
def make_first_administrator(visit: Visit) -> Response:
    """Make the first administrator, and sign in; by the rules of `POST /api/v1/auth/admin`."""
    entered = visit.entered(FirstForm)
    if not users.takes_setup_token(visit.settings):
        refuse_foreign_host(request, visit.settings)
    user = users.bootstrap(visit.db, visit.settings, **{"setup_token": None, **entered})
    started = sign_in(visit.db, visit.settings, user, method="bootstrap", device=device(request))
    return begin(visit.go("welcome/plex"), visit.settings, started)


@pages.page("/welcome/next", Permission.INTEGRATIONS_CONFIGURE)
def next_step(visit: Visit) -> Response:
    """Go to the step at which the first run was left."""
    return visit.go(steps.left_at(visit.db, visit.settings))
