"""`/integrations`: the systems we talk to: how they are, for everybody; how they are configured, for admins."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import marshmallow as ma
from flask import Response
from sqlalchemy.orm import Session

from api.operations.blueprint import Blueprint, Call
from api.wire.envelope import success
from api.wire.fields import Flag, Schema, Text
from engine.clients.connection_test import ConnectionTestFailed
from engine.errors import ServiceUnavailable
from engine.integrations import integrations, plex_discovery
from engine.integrations.integrations import View
from engine.integrations.kind import Tested
from engine.integrations.plex_discovery import Found
from engine.integrations.validation import MOST_PATHS, MOST_TOKEN, MOST_URL
from engine.permissions import Permission
from engine.webhooks import secrets

STATES = ("online", "degraded", "offline", "disabled")

blueprint = Blueprint("integrations", "/integrations", "The systems we talk to.")


class PathPair(Schema):
    """A folder, as we see it and as the Plex server sees it."""

    ours = Text(1000, required=True)
    plex = Text(1000, required=True)


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


class TestedServerSchema(Schema):
    """A Plex server, as it described itself."""

    name = ma.fields.String(required=True)
    version = ma.fields.String(required=True)
    platform = ma.fields.String(required=True, allow_none=True)
    machine_identifier = ma.fields.String(required=True)


class IntegrationTestSchema(Schema):
    """What a test found: the last four are missing where all is well."""

    ok = ma.fields.Boolean(required=True)
    server = ma.fields.Nested(TestedServerSchema, metadata={"description": "Of Plex, where all is well."})
    reason = ma.fields.String(
        metadata={
            "description": "unknown_host, never_asked, refused, timeout, tls, unauthorized, other_server, too_old, "
            "not_ready, not_plex, not_recognised or unclaimed."
        }
    )
    message = ma.fields.String()
    advice = ma.fields.String()


class IntegrationSchema(Schema):
    """An integration; all behind `readOnly` is for those who may configure it."""

    name = ma.fields.String(required=True)
    configured = ma.fields.Boolean(required=True)
    enabled = ma.fields.Boolean(required=True, metadata={"description": "false: the environment forbids it."})
    state = ma.fields.String(required=True, metadata={"enum": list(STATES)})
    read_only = ma.fields.Boolean(required=True, metadata={"description": "The environment sets some of it."})
    fixed = ma.fields.List(
        ma.fields.String(), metadata={"description": "What the environment sets: url, token."}
    )
    source = ma.fields.String(allow_none=True, metadata={"enum": ["environment", "database", None]})
    url = ma.fields.String(allow_none=True)
    token_configured = ma.fields.Boolean()
    verify_tls = ma.fields.Boolean()
    machine_identifier = ma.fields.String(allow_none=True)
    server_name = ma.fields.String(allow_none=True)
    version = ma.fields.String(allow_none=True)
    paths = ma.fields.List(ma.fields.Nested(PathPair))
    last_error = ma.fields.String(allow_none=True)
    seen_at = ma.fields.DateTime(allow_none=True)
    synced_at = ma.fields.DateTime(allow_none=True)
    updated_at = ma.fields.DateTime(allow_none=True)
    webhook_url = ma.fields.String(
        metadata={"description": "For those who may manage webhooks: where the other end is to send them."}
    )
    webhook_authorization = ma.fields.String(
        metadata={"description": "Overseerr, for those who may manage webhooks: the header to type in there."}
    )


class IntegrationsSchema(Schema):
    """All of them."""

    integrations = ma.fields.List(ma.fields.Nested(IntegrationSchema), required=True)


class SavedIntegrationSchema(IntegrationSchema):
    """A configuration that was stored, and how its test went."""

    test = ma.fields.Nested(IntegrationTestSchema, required=True)
    sync_id = ma.fields.String(
        required=True, allow_none=True, metadata={"description": "Of the sync that begins where all is well."}
    )


class ServerAddressSchema(Schema):
    """An address of a server, and whether it answers there as seen from here."""

    uri = ma.fields.String(required=True)
    local = ma.fields.Boolean(required=True)
    relay = ma.fields.Boolean(required=True)
    reachable = ma.fields.Boolean(required=True)
    reason = ma.fields.String(required=True, allow_none=True)


class FoundServerSchema(Schema):
    """A server of one's Plex account."""

    machine_identifier = ma.fields.String(required=True)
    name = ma.fields.String(required=True)
    version = ma.fields.String(required=True)
    platform = ma.fields.String(required=True)
    owned = ma.fields.Boolean(required=True)
    connected = ma.fields.Boolean(required=True, metadata={"description": "It is ours already."})
    preferred = ma.fields.String(
        required=True, allow_none=True, metadata={"description": "The best address that answers."}
    )
    connections = ma.fields.List(ma.fields.Nested(ServerAddressSchema), required=True)


class FoundServersSchema(Schema):
    """The servers of one's Plex account, one's own first."""

    servers = ma.fields.List(ma.fields.Nested(FoundServerSchema), required=True)


class ConnectServerRequest(Schema):
    """Which server, and at which of its addresses; absent: the best that answers."""

    machine_identifier = Text(200, required=True)
    uri = Text(MOST_URL)


@blueprint.operation("GET", "", permission=Permission.INTEGRATIONS_VIEW, answers={200: IntegrationsSchema})
def list_integrations(call: Call) -> Response:
    """The systems we talk to, and how they are."""
    found = integrations.listing(call.db, call.settings)
    return success({"integrations": [_row(call, call.db, view) for view in found]})


@blueprint.operation(
    "GET", "/<name>", permission=Permission.INTEGRATIONS_VIEW, answers={200: IntegrationSchema}, errors=(404,)
)
def get_integration(call: Call, name: str) -> Response:
    """One of them: plex, overseerr or tmdb."""
    return success(_row(call, call.db, integrations.get(call.db, call.settings, name)))


@blueprint.operation(
    "PUT",
    "/<name>",
    permission=Permission.INTEGRATIONS_CONFIGURE,
    body=IntegrationRequest,
    answers={200: SavedIntegrationSchema},
    errors=(404, 409, 503),
    own_units=True,
    limit="work",
    session_only=True,
    confirmed="always",
)
def configure_integration(call: Call, body: dict[str, Any], name: str) -> Response:
    """Configure one. It is tested, and stored even where the test fails; Plex begins to sync where it goes well."""
    changes = {IntegrationRequest().fields[key].data_key or key: value for key, value in body.items()}
    saved = integrations.configure(call.runtime, name, changes, call.actor)
    return success(_saved(call, saved))


@blueprint.operation(
    "DELETE",
    "/<name>",
    permission=Permission.INTEGRATIONS_CONFIGURE,
    answers={200: IntegrationSchema},
    errors=(404, 409),
    session_only=True,
    confirmed="always",
)
def forget_integration(call: Call, name: str) -> Response:
    """Forget how one is configured; what it has brought stays, and is shown again when it is connected again."""
    return success(_row(call, call.db, integrations.forget(call.db, call.settings, name, call.actor)))


@blueprint.operation(
    "POST",
    "/<name>/test",
    permission=Permission.INTEGRATIONS_CONFIGURE,
    body=IntegrationTestRequest,
    answers={200: IntegrationTestSchema},
    errors=(404, 409, 503),
    own_units=True,
    limit="work",
)
def test_integration(call: Call, body: dict[str, Any], name: str) -> Response:
    """Ask the other end whether all is well, and say what is not; changes nothing."""
    tested = integrations.test(call.runtime, name, url=body.get("url"), token=body.get("token"))
    return success(_tested(tested))


@blueprint.operation(
    "GET",
    "/plex/servers",
    permission=Permission.INTEGRATIONS_CONFIGURE,
    answers={200: FoundServersSchema},
    errors=(409, 503),
    own_units=True,
    limit="work",
)
def find_plex_servers(call: Call) -> Response:
    """The servers of one's own Plex account, with the addresses that answer from here."""
    found = plex_discovery.listing(call.runtime, call.identity.user_id)
    return success({"servers": [_found(each) for each in found]})


@blueprint.operation(
    "POST",
    "/plex/servers",
    permission=Permission.INTEGRATIONS_CONFIGURE,
    body=ConnectServerRequest,
    answers={200: SavedIntegrationSchema},
    errors=(404, 409, 503),
    own_units=True,
    session_only=True,
    confirmed="always",
)
def connect_plex_server(call: Call, body: dict[str, Any]) -> Response:
    """Connect one of them, with the token that plex.tv gives out for it."""
    saved = plex_discovery.connect(
        call.runtime, call.identity.user_id, body["machine_identifier"], body.get("uri"), call.actor
    )
    return success(_saved(call, saved))


def _row(call: Call, db: Session, view: View) -> dict[str, Any]:
    """An integration as whoever asks may see it."""
    permissions = call.identity.permissions
    row: dict[str, Any] = {
        "name": view.name,
        "configured": view.configured,
        "enabled": view.enabled,
        "state": view.state,
        "readOnly": view.read_only,
    }
    if Permission.INTEGRATIONS_CONFIGURE in permissions:
        row |= _configuration(view)
    if Permission.WEBHOOKS_MANAGE in permissions and view.enabled:
        with suppress(
            ServiceUnavailable
        ):  # a secret that no key opens must not hide how the rest is configured
            row |= _webhooks(call, db, view.name)
    return row


def _configuration(view: View) -> dict[str, Any]:
    known = view.remembered
    row: dict[str, Any] = {
        "fixed": list(view.fixed),
        "source": view.source,
        "url": view.url,
        "tokenConfigured": view.token_configured,
        "verifyTls": view.options["verifyTls"] is not False,
        "lastError": known.last_error,
        "updatedAt": view.updated_at,
    }
    if view.name == integrations.PLEX.name:
        row |= {
            "machineIdentifier": view.options["machineIdentifier"] or known.machine_id,
            "serverName": known.name,
            "version": known.version,
            "paths": view.options["paths"] or [],
            "seenAt": known.seen_at,
            "syncedAt": known.synced_at,
        }
    return row


def _webhooks(call: Call, db: Session, name: str) -> dict[str, Any]:
    if name == secrets.PLEX:
        return {"webhookUrl": secrets.plex_url(db, call.settings)}
    if name == secrets.OVERSEERR:
        return {
            "webhookUrl": f"{call.settings.api_base}{secrets.PATH}/{name}",
            "webhookAuthorization": secrets.overseerr_authorization(db, call.settings),
        }
    return {}


def _saved(call: Call, saved: integrations.Saved) -> dict[str, Any]:
    with call.runtime.unit_of_work() as db:
        row = _row(call, db, saved.view)
    return {**row, "test": _tested(saved.tested), "syncId": saved.sync_id}


def _tested(tested: Tested) -> dict[str, Any]:
    if tested.ok:
        return {"ok": True, **({"server": tested.server} if tested.server is not None else {})}
    return {"ok": False, "reason": tested.reason, "message": tested.message, "advice": tested.advice}


def _found(found: Found) -> dict[str, Any]:
    return {
        "machineIdentifier": found.offer.machine_id,
        "name": found.offer.name,
        "version": found.offer.version,
        "platform": found.offer.platform,
        "owned": found.offer.owned,
        "connected": found.connected,
        "preferred": found.preferred,
        "connections": [
            {
                "uri": each.place.uri,
                "local": each.place.local,
                "relay": each.place.relay,
                "reachable": each.failure is None,
                "reason": each.failure.reason if isinstance(each.failure, ConnectionTestFailed) else None,
            }
            for each in found.reached
        ],
    }
