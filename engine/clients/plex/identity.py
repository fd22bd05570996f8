"""A Plex Media Server: which one it is."""

from __future__ import annotations

from dataclasses import dataclass

from engine.clients.plex import answers
from engine.clients.plex.errors import PlexGarbled
from engine.clients.plex.http import PlexConversation

IDENTITY_SECONDS = 2.5
WHO = "The Plex server"
_LONGEST_IDENTIFIER = 200


@dataclass(frozen=True)
class ServerIdentity:
    """A server as it presents itself to anyone.

    Attributes:
        machine_identifier: under which plex.tv knows it.
        claimed: whether it belongs to an account at plex.tv.
    """

    machine_identifier: str
    claimed: bool


def identity(url: str, identifier: str) -> ServerIdentity:
    """Ask a server who it is; it needs no token.

    Args:
        url: of the server.
        identifier: the name by which Plex knows us.

    Raises:
        PlexUnreachable: no answer, or none that is understood.
    """
    with PlexConversation(url, who=WHO, identifier=identifier, seconds=IDENTITY_SECONDS) as http:
        return http.read(http.get("/identity"), identity_of)


def identity_of(body: bytes) -> ServerIdentity:
    """Read an identity, from JSON or from XML, where every value is a text attribute.

    Raises:
        PlexGarbled: it is neither, or without an identifier.
    """
    fields = answers.fields(body)
    identifier = fields.get("machineIdentifier")
    if not isinstance(identifier, str) or not 0 < len(identifier) <= _LONGEST_IDENTIFIER:
        raise PlexGarbled("The server does not say who it is.")
    return ServerIdentity(identifier, fields.get("claimed", True) not in {False, "0"})
