"""`/welcome/plex`: connect the Plex server: through one's account there, or by address and token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response

from api.pages.account.plex import link_account
from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.pages.sign_in import plex_codes
from api.pages.sign_in.plex_codes import PlexCodeQuery
from api.pages.welcome import steps
from api.wire.fields import Schema, Text
from engine.accounts import users
from engine.clients.plex.errors import PlexUnreachable
from engine.errors import Conflict, ValidationFailed
from engine.integrations import integrations, plex_discovery
from engine.integrations.kind import Tested
from engine.integrations.plex_discovery import Found
from engine.integrations.validation import MOST_TOKEN, MOST_URL
from engine.permissions import Permission

pages = PageBlueprint("welcome_plex")
_PATH = "welcome/plex"


class FoundServerForm(Schema):
    """Which of the servers that were found."""

    machine_identifier = Text(200, required=True)


class PlexAddressForm(Schema):
    """A server by its address."""

    url = Text(MOST_URL, required=True)
    token = Text(MOST_TOKEN, required=True)


@pages.page("/welcome/plex", Permission.INTEGRATIONS_CONFIGURE, query=PlexCodeQuery, own_units=True)
def connect_plex_page(visit: Visit, query: dict[str, Any] | None = None) -> Response:
    """Connect Plex: a code, then the servers of the account; or address and token."""
    with visit.runtime.reading() as db:
        view = integrations.get(db, visit.settings, "plex")
        user = users.get(db, visit.identity.user_id)
    code = plex_codes.waiting(visit)
    servers, trouble = _servers(visit) if user.plex_id and not view.configured else ([], "")
    return steps.shown(visit, _PATH, view=view, user=user, code=code, servers=servers, trouble=trouble)


@pages.form("/welcome/plex", Permission.INTEGRATIONS_CONFIGURE, again=connect_plex_page, own_units=True)
def begin_with_plex(visit: Visit) -> Response:
    """Get a code from plex.tv."""
    return plex_codes.begin(visit, _PATH)


@pages.form("/welcome/plex/link", Permission.INTEGRATIONS_CONFIGURE, again=connect_plex_page, own_units=True)
def link_own_plex(visit: Visit) -> Response:
    """Link the Plex account that the code was entered with, so that its servers can be found."""
    link_account(visit)
    return visit.go(_PATH)


@pages.form(
    "/welcome/plex/server", Permission.INTEGRATIONS_CONFIGURE, again=connect_plex_page, own_units=True
)
def choose_server(visit: Visit) -> Response:
    """Connect one of the servers that were found."""
    chosen = visit.entered(FoundServerForm)["machine_identifier"]
    tested = plex_discovery.connect(visit.runtime, visit.identity.user_id, chosen, None, visit.actor).tested
    if not tested.ok:  # it is stored all the same, and the page shows it
        return visit.go(_PATH, _words(tested), "failed")
    return _connected(visit, tested)


@pages.form(
    "/welcome/plex/address",
    Permission.INTEGRATIONS_CONFIGURE,
    again=connect_plex_page,
    limit="work",
    own_units=True,
)
def connect_address(visit: Visit) -> Response:
    """Connect a server by address and token, where it passes the test."""
    entered = visit.entered(PlexAddressForm)
    tested = integrations.test(visit.runtime, "plex", **entered)
    if not tested.ok:
        field = "token" if tested.reason == "unauthorized" else "url"
        raise ValidationFailed(_("That did not work, and nothing is stored."), **{field: _words(tested)})
    integrations.configure(visit.runtime, "plex", entered, visit.actor)
    return _connected(visit, tested)


def _connected(visit: Visit, tested: Tested) -> Response:
    name = (tested.server or {}).get("name", "Plex")
    return visit.go("welcome/folders", _("%(name)s is connected.") % {"name": name})


def _words(tested: Tested) -> str:
    return " ".join(_(text) for text in (tested.message, tested.advice) if text)


def _servers(visit: Visit) -> tuple[Sequence[Found], str]:
    try:
        found = plex_discovery.listing(visit.runtime, visit.identity.user_id)
    except (Conflict, PlexUnreachable) as error:
        return [], _(error.message)
    return found, "" if found else _("This Plex account has no server.")
