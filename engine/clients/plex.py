"""A Plex Media Server: which one it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import orjson

from engine.clients.plex_http import PlexHttp

IDENTITY_SECONDS = 2.5
WHO = "The Plex server"
_LONGEST_IDENTIFIER = 200


class Malformed(Exception):
    """An answer does not hold what it should."""


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
    http = PlexHttp(url, who=WHO, identifier=identifier, seconds=IDENTITY_SECONDS)
    try:
        answer = http.get("/identity")
        if answer.status != 200:
            raise http.unusable(f"HTTP {answer.status}")
        try:
            return identity_of(answer.body)
        except Malformed:
            raise http.unusable("an answer that is not understood") from None
    finally:
        http.close()


def identity_of(body: bytes) -> ServerIdentity:
    """Read an identity, from JSON or from XML, where every value is a text attribute.

    Raises:
        Malformed: it is neither, or without an identifier.
    """
    fields = container_of(body)
    identifier = fields.get("machineIdentifier")
    if not isinstance(identifier, str) or not 0 < len(identifier) <= _LONGEST_IDENTIFIER:
        raise Malformed("machineIdentifier")
    return ServerIdentity(identifier, fields.get("claimed", True) not in {False, "0"})


def container_of(body: bytes) -> dict[str, Any]:
    """The fields of an answer's container, in JSON or as the attributes of XML.

    Raises:
        Malformed: it is neither.
    """
    return _from_xml(body) if body.lstrip()[:1] == b"<" else _from_json(body)


def _from_json(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Malformed("JSON") from None
    container = document.get("MediaContainer") if isinstance(document, dict) else None
    if not isinstance(container, dict):
        raise Malformed("MediaContainer")
    return container


def _from_xml(body: bytes) -> dict[str, Any]:
    if b"<!" in body:  # entities could grow without end, and no identity has any
        raise Malformed("XML")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - without entities there is nothing to fear
    except ElementTree.ParseError:
        raise Malformed("XML") from None
    return dict(root.attrib) if root.tag == "MediaContainer" else {}
