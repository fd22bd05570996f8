"""`/admin/integrations/plex/servers`: the servers of one's own Plex account, to choose ours from."""

from __future__ import annotations

from flask import Response

from api.pages.admin.integrations import saved_words
from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.wire.fields import Schema, Text
from engine.errors import Conflict, ServiceUnavailable
from engine.integrations import plex_discovery
from engine.integrations.plex_discovery import Found
from engine.permissions import Permission

pages = PageBlueprint("admin.plex_servers")

_PATH = "admin/integrations/plex/servers"


class ServerForm(Schema):
    """The chosen server, and at which of its addresses."""

    machine_identifier = Text(200, required=True)
    uri = Text(500)


@pages.page(f"/{_PATH}", Permission.INTEGRATIONS_CONFIGURE, own_units=True, limit="work")
def servers_page(visit: Visit) -> Response:
    """The servers found, each with its addresses as they answer from here."""
    found: list[Found] = []
    problem = ""
    try:
        found = plex_discovery.listing(visit.runtime, visit.identity.user_id)
    except Conflict:
        problem = _(
            "Servers are found through your own Plex account: link it on your account's page, or link it anew. "
            "Or enter the server's address and token yourself."
        )
    except ServiceUnavailable as error:
        problem = _(error.message)
    return visit.show("admin/plex-servers.html", here="admin/integrations", found=found, problem=problem)


@pages.form(f"/{_PATH}", Permission.INTEGRATIONS_CONFIGURE, back=_PATH, own_units=True, limit="work")
def connect_server(visit: Visit) -> Response:
    """Connect the chosen one."""
    entered = visit.entered(ServerForm)
    saved = plex_discovery.connect(
        visit.runtime,
        visit.identity.user_id,
        entered["machine_identifier"],
        entered.get("uri"),
        visit.actor,
    )
    return visit.go("admin/integrations/plex", *saved_words(saved.tested))
