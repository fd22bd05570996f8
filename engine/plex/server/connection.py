"""The connection to the Plex server: from the environment, else as an admin configured it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.clients.plex.library import PlexLibrary
from engine.errors import NotFound
from engine.installation import client_identifier
from engine.secrets import secret_box
from models.integration import Integration
from models.plex_library import PlexServer

NAME = "plex"
NOT_CONFIGURED = "No Plex server is configured."
SWITCHED_OFF = "Plex is switched off here (PLEX_ENABLED)."


@dataclass(frozen=True)
class PlexConnection:
    """Address and token of the server.

    Attributes:
        machine_id: `machineIdentifier` of the chosen server; another server at the address is refused. None: any.
        paths: pairs of folders, `(ours, the server's)`, the longest of ours first.
        verify: whether certificates are checked.
    """

    url: str
    token: str = field(repr=False)
    client_id: str
    machine_id: str | None = None
    paths: tuple[tuple[str, str], ...] = ()
    verify: bool = True

    def library(self) -> PlexLibrary:
        """A client for the server's library."""
        return PlexLibrary(self.url, self.token, self.client_id, verify=self.verify)


@dataclass(frozen=True)
class Address:
    """Which server is configured, as far as that is known without its token.

    Attributes:
        machine_id: `machineIdentifier` of the chosen server; None: whichever answers there.
    """

    url: str
    machine_id: str | None


def configured(db: Session, settings: Settings) -> PlexConnection | None:
    """The connection; None where Plex is switched off or nothing is configured.

    Raises:
        ServiceUnavailable: the stored token was written with another `SECRET_KEY`.
    """
    where, row = address(db, settings), db.get(Integration, NAME)
    options = options_of(row)
    token = settings.plex_token or (
        secret_box.opened(settings, NAME, row.token) if row is not None and row.token else None
    )
    if where is None or not token:
        return None
    paths = [(entry["ours"], entry["plex"]) for entry in options.get("paths", ())]
    return PlexConnection(
        url=where.url,
        token=token,
        client_id=client_identifier(db),
        machine_id=where.machine_id,
        paths=tuple(sorted(paths, key=lambda pair: -len(pair[0]))),
        verify=options.get("verifyTls", True),
    )


def required(db: Session, settings: Settings) -> PlexConnection:
    """The connection.

    Raises:
        NotFound: Plex is switched off or nothing is configured.
        ServiceUnavailable: as for `configured`.
    """
    refuse_if_off(settings)
    found = configured(db, settings)
    if found is None:
        raise NotFound(NOT_CONFIGURED)
    return found


def refuse_if_off(settings: Settings) -> None:
    """Make sure that Plex is not switched off.

    Raises:
        NotFound: it is.
    """
    if not settings.plex_enabled:
        raise NotFound(SWITCHED_OFF)


def address(db: Session, settings: Settings) -> Address | None:
    """The address of the server, whether or not there is a token; None: switched off, or no server is configured."""
    if not settings.plex_enabled:
        return None
    if settings.plex_url:
        return Address(settings.plex_url, None)
    row = db.get(Integration, NAME)
    if row is None or not row.url:
        return None
    return Address(row.url, options_of(row).get("machineIdentifier"))


def server_id(db: Session, settings: Settings) -> str | None:
    """The id of the connected server, whose items are the catalogue; None: none is connected, or it has never answered.

    The rows of other servers stay, unseen, until one of them is connected again.
    """
    where, row = address(db, settings), db.get(Integration, NAME)
    if where is None or not (settings.plex_token or (row is not None and row.token)):
        return None
    if where.machine_id is not None:
        return where.machine_id
    latest = select(PlexServer.id).where(PlexServer.url == where.url).order_by(PlexServer.seen_at.desc())
    return db.scalar(latest.limit(1))


def options_of(row: Integration | None) -> dict[str, Any]:
    """The options beside URL and token: `machineIdentifier`, `paths`, `verifyTls`."""
    return dict((row is not None and row.options) or {})
