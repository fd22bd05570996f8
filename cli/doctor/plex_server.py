"""Whether the Plex server that is configured answers this host, and takes the token."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from cli.doctor.finding import Finding, fail, ok, warn
from cli.doctor.services import Services
from cli.errors import CommandError
from cli.maintenance.installation import database_url
from engine.clients import connection_test
from engine.clients.connection_test import ConnectionTestFailed
from engine.clients.plex import discovery
from engine.errors import ServiceUnavailable
from engine.plex.server import connection
from engine.plex.server.connection import PlexConnection
from models.session import Database


def plex_server(services: Services) -> Iterator[Finding]:
    """Ask it, as the test of its configuration does."""
    if not services.settings.plex_enabled:
        yield ok("plex", "switched off (PLEX_ENABLED is false)")
        return
    if services.workers is None:
        yield fail("plex", "not known: its configuration is in the database", "bring the database back first")
        return
    try:
        found = _configured(services)
    except ServiceUnavailable as error:
        yield fail(
            "plex", error.message, "set SECRET_KEY (or SECRET_KEY_PREVIOUS) to the one it was stored with"
        )
        return
    except (CommandError, SQLAlchemyError):
        yield fail("plex", "not known: the database went away", "bring the database back first")
        return
    if found is None:
        advice = (
            "to connect one: PUT /api/v1/integrations/plex, or PLEX_URL and PLEX_TOKEN (see docs/plex.md)"
        )
        if services.settings.plex_url:
            yield warn("plex", "a PLEX_URL without a token: people can sign in, nothing more", advice)
        else:
            yield ok("plex", f"no server is configured; {advice}")
        return
    yield _asked(found)


def _configured(services: Services) -> PlexConnection | None:
    database = Database(database_url(services.settings), pool_size=1)
    try:
        with Session(database.engine) as db:  # without a commit: a doctor changes nothing
            return connection.configured(db, services.settings)
    finally:
        database.close()


def _asked(found: PlexConnection) -> Finding:
    try:
        server = connection_test.run_with_deadline(
            lambda: discovery.examine(
                found.url, found.token, found.client_id, expected=found.machine_id, verify=found.verify
            )
        )
    except ConnectionTestFailed as failed:
        return fail("plex", failed.message, failed.advice)
    return ok("plex", f"{server.name} answers, version {server.version}")
