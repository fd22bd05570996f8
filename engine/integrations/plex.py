"""Plex as an integration: options, connection test, consequences of connecting a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.audit import Actor
from engine.clients.plex import discovery
from engine.clients.plex.discovery import ServerFacts
from engine.errors import Conflict
from engine.integrations.kind import Given, Kind, Remembered, State, Target, Tested
from engine.plex.server import connection, libraries
from engine.plex.sync import runs as sync
from models.integration import Integration
from models.plex_library import PlexServer
from models.sync_run import SyncRun


class PlexKind(Kind):
    """Our Plex Media Server."""

    name, title = connection.NAME, "Plex"
    options = frozenset({"verifyTls", "machineIdentifier", "paths"})

    def environment(self, settings: Settings) -> Given:
        """`PLEX_URL` and `PLEX_TOKEN`."""
        return Given(settings.plex_url, settings.plex_token)

    def switched_on(self, settings: Settings) -> bool:
        """`PLEX_ENABLED`."""
        return settings.plex_enabled

    def examine(self, target: Target) -> Tested:
        """Test that it is a Plex server, the expected one, and accepts the token."""
        found = discovery.examine(
            target.url, target.token, target.client_id, expected=target.expected, verify=target.verify
        )
        shown = {
            "name": found.name,
            "version": found.version,
            "platform": str(found.root.get("platform") or "") or None,
            "machineIdentifier": found.machine_id,
        }
        return Tested(ok=True, server=shown, facts=found)

    def state(self, db: Session, settings: Settings, row: Integration | None) -> State:
        """The state as of the last syncs and calls."""
        return libraries.state(db, settings)

    def remembered(self, db: Session, settings: Settings, row: Integration | None) -> Remembered:
        """As of the last sync or connection test."""
        server_id = connection.server_id(db, settings)
        server = None if server_id is None else db.get(PlexServer, server_id)
        checked = ((row is not None and row.options) or {}).get("checked") or {}
        if server is None:
            return Remembered(last_error=checked.get("message"))
        return Remembered(
            server.name, server.version, server.last_error, server.seen_at, server.synced_at, server.id
        )

    def learned(self, tested: Tested) -> Mapping[str, Any]:
        """The `machineIdentifier`: another server at the address is refused from now on."""
        facts = tested.facts
        return {"machineIdentifier": facts.machine_id} if isinstance(facts, ServerFacts) else {}

    def saved(
        self, db: Session, settings: Settings, tested: Tested, actor: Actor, *, moved: bool
    ) -> str | None:
        """Start a sync after a successful test; a running one with another server is cancelled first."""
        if moved:
            _end_syncs(db)
        found = connection.configured(db, settings)
        if found is None or not isinstance(tested.facts, ServerFacts):
            return None
        libraries.met(db, found, tested.facts.identity, tested.facts.root)
        return sync.start(db, full=False, trigger="manual", user_id=actor.user_id)[0].id

    def removed(self, db: Session, settings: Settings) -> None:
        """Cancel the running sync; the catalogue stays, and is shown again when this server is reconnected."""
        _end_syncs(db)


def _end_syncs(db: Session) -> None:
    active = select(SyncRun.id).where(SyncRun.ended_at.is_(None), SyncRun.cancel_requested_at.is_(None))
    for sync_id in db.scalars(active).all():
        try:
            sync.cancel(db, sync_id)
        except Conflict:
            continue  # it has just ended
