"""Integrations as clients see them, and what a test of one found."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import marshmallow as ma
from sqlalchemy.orm import Session

from api.operations.call import Call
from api.wire.fields import Schema, Text, nullable, required
from engine.clients.connection_test import ConnectionTestFailed
from engine.errors import ServiceUnavailable
from engine.integrations import integrations
from engine.integrations.integrations import Saved, View
from engine.integrations.kind import Tested
from engine.integrations.plex_discovery import Found
from engine.permissions import Permission
from engine.webhooks import secrets

STATES = ("online", "degraded", "offline", "disabled")


class PathPair(Schema):
    """A folder, as we see it and as the Plex server sees it."""

    ours = Text(1000, required=True)
    plex = Text(1000, required=True)


class TestedServerSchema(Schema):
    """A Plex server, as it described itself."""

    name = ma.fields.String(required=True)
    version = ma.fields.String(required=True)
    platform = nullable(ma.fields.String)
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
    enabled = required(ma.fields.Boolean, about="false: the environment forbids it.")
    state = ma.fields.String(required=True, metadata={"enum": list(STATES)})
    read_only = required(ma.fields.Boolean, about="The environment sets some of it.")
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
    sync_id = nullable(ma.fields.String, about="Of the sync that begins where all is well.")


class ServerAddressSchema(Schema):
    """An address of a server, and whether it answers there as seen from here."""

    uri = ma.fields.String(required=True)
    local = ma.fields.Boolean(required=True)
    relay = ma.fields.Boolean(required=True)
    reachable = ma.fields.Boolean(required=True)
    reason = nullable(ma.fields.String)


class FoundServerSchema(Schema):
    """A server of one's Plex account."""

    machine_identifier = required(ma.fields.String, attribute="machine_id")
    name = ma.fields.String(required=True)
    version = ma.fields.String(required=True)
    platform = ma.fields.String(required=True)
    owned = ma.fields.Boolean(required=True)
    connected = required(ma.fields.Boolean, about="It is ours already.")
    preferred = nullable(ma.fields.String, about="The best address that answers.")
    connections = ma.fields.List(ma.fields.Nested(ServerAddressSchema), required=True)


class FoundServersSchema(Schema):
    """The servers of one's Plex account, one's own first."""

    servers = ma.fields.List(ma.fields.Nested(FoundServerSchema), required=True)


def integration_row(call: Call, db: Session, view: View) -> dict[str, Any]:
    """The row of an integration, with the fields that the permissions of the caller allow."""
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


def saved_row(call: Call, saved: Saved) -> dict[str, Any]:
    """An integration that was stored, with how its test went and the sync that has begun."""
    with call.runtime.unit_of_work() as db:
        row = integration_row(call, db, saved.view)
    return {**row, "test": tested_row(saved.tested), "syncId": saved.sync_id}


def tested_row(tested: Tested) -> dict[str, Any]:
    """What a test found."""
    if tested.ok:
        return {"ok": True, **({"server": tested.server} if tested.server is not None else {})}
    return {"ok": False, "reason": tested.reason, "message": tested.message, "advice": tested.advice}


def found_row(found: Found) -> dict[str, Any]:
    """A server of one's Plex account."""
    addresses = [
        ServerAddressSchema.row(
            each.place,
            reachable=each.failure is None,
            reason=each.failure.reason if isinstance(each.failure, ConnectionTestFailed) else None,
        )
        for each in found.reached
    ]
    return FoundServerSchema.row(
        found.offer, connected=found.connected, preferred=found.preferred, connections=addresses
    )
