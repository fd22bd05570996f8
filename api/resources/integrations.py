"""`/integrations`: the systems we talk to: how they are, for everybody; how they are configured, for admins."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.resources.integration_rows import (
    FoundServersSchema,
    IntegrationSchema,
    IntegrationsSchema,
    IntegrationTestSchema,
    PathPair,
    SavedIntegrationSchema,
    found_row,
    integration_row,
    saved_row,
    tested_row,
)
from api.wire.envelope import success
from api.wire.fields import Flag, Schema, Text
from engine.integrations import integrations, plex_discovery
from engine.integrations.validation import MOST_PATHS, MOST_TOKEN, MOST_URL
from engine.permissions import Permission

blueprint = Blueprint("integrations", "/integrations", "The systems we talk to.")


class IntegrationRequest(Schema):
    """What to change; what is absent stays as it is."""

    url = Text(MOST_URL, metadata={"description": "Overseerr without /api/v1, TMDB with /3."})
    token = Text(MOST_TOKEN, metadata={"description": "Token or key; kept encrypted and never read back."})
    verify_tls = Flag(metadata={"description": "false: any certificate will do."})
    machine_identifier = Text(
        200,
        allow_none=True,
        metadata={
            "description": "Plex: the server that is meant. Absent with another address or token: whichever answers."
        },
    )
    paths = ma.fields.List(
        ma.fields.Nested(PathPair),
        validate=ma.validate.Length(max=MOST_PATHS),
        metadata={"description": "Plex: folders that the server sees under another name than we do."},
    )


class IntegrationTestRequest(Schema):
    """What to test instead of what is configured; a token is needed with another address."""

    url = Text(MOST_URL)
    token = Text(MOST_TOKEN)


class ConnectServerRequest(Schema):
    """Which server, and at which of its addresses; absent: the best that answers."""

    machine_identifier = Text(200, required=True)
    uri = Text(MOST_URL)


@blueprint.operation("GET", "", Access(Permission.INTEGRATIONS_VIEW), Answers({200: IntegrationsSchema}))
def list_integrations(call: Call) -> Response:
    """The systems we talk to, and how they are."""
    found = integrations.listing(call.db, call.settings)
    return success({"integrations": [integration_row(call, call.db, view) for view in found]})


@blueprint.operation(
    "GET", "/<name>", Access(Permission.INTEGRATIONS_VIEW), Answers({200: IntegrationSchema}, errors=(404,))
)
def get_integration(call: Call, name: str) -> Response:
    """One of them: plex, overseerr or tmdb."""
    return success(integration_row(call, call.db, integrations.get(call.db, call.settings, name)))


@blueprint.operation(
    "PUT",
    "/<name>",
    Access(Permission.INTEGRATIONS_CONFIGURE, session_only=True, confirmed="always"),
    Answers({200: SavedIntegrationSchema}, errors=(404, 409, 503)),
    Takes(body=IntegrationRequest),
    limit="work",
    own_units=True,
)
def configure_integration(call: Call, body: dict[str, Any], name: str) -> Response:
    """Configure one. It is tested, and stored even where the test fails; Plex begins to sync where it goes well."""
    changes = {IntegrationRequest().fields[key].data_key or key: value for key, value in body.items()}
    saved = integrations.configure(call.runtime, name, changes, call.actor)
    return success(saved_row(call, saved))


@blueprint.operation(
    "DELETE",
    "/<name>",
    Access(Permission.INTEGRATIONS_CONFIGURE, session_only=True, confirmed="always"),
    Answers({200: IntegrationSchema}, errors=(404, 409)),
)
def forget_integration(call: Call, name: str) -> Response:
    """Forget how one is configured; what it has brought stays, and is shown again when it is connected again."""
    return success(
        integration_row(call, call.db, integrations.forget(call.db, call.settings, name, call.actor))
    )


@blueprint.operation(
    "POST",
    "/<name>/test",
    Access(Permission.INTEGRATIONS_CONFIGURE),
    Answers({200: IntegrationTestSchema}, errors=(404, 409, 503)),
    Takes(body=IntegrationTestRequest),
    limit="work",
    own_units=True,
)
def test_integration(call: Call, body: dict[str, Any], name: str) -> Response:
    """Ask the other end whether all is well, and say what is not; changes nothing."""
    tested = integrations.test(call.runtime, name, url=body.get("url"), token=body.get("token"))
    return success(tested_row(tested))


@blueprint.operation(
    "GET",
    "/plex/servers",
    Access(Permission.INTEGRATIONS_CONFIGURE),
    Answers({200: FoundServersSchema}, errors=(409, 503)),
    limit="work",
    own_units=True,
)
def find_plex_servers(call: Call) -> Response:
    """The servers of one's own Plex account, with the addresses that answer from here."""
    found = plex_discovery.listing(call.runtime, call.identity.user_id)
    return success({"servers": [found_row(each) for each in found]})


@blueprint.operation(
    "POST",
    "/plex/servers",
    Access(Permission.INTEGRATIONS_CONFIGURE, session_only=True, confirmed="always"),
    Answers({200: SavedIntegrationSchema}, errors=(404, 409, 503)),
    Takes(body=ConnectServerRequest),
    own_units=True,
)
def connect_plex_server(call: Call, body: dict[str, Any]) -> Response:
    """Connect one of them, with the token that plex.tv gives out for it."""
    saved = plex_discovery.connect(
        call.runtime, call.identity.user_id, body["machine_identifier"], body.get("uri"), call.actor
    )
    return success(saved_row(call, saved))
