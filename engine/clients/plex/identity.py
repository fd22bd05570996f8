"""A Plex Media Server: which one it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from engine.clients.foreign_json import NotJson, decoded
from engine.clients.plex.http import PlexHttp

IDENTITY_SECONDS = 2.5
WHO = "The Plex server"
_LONGEST_IDENTIFIER = 200
_BEFORE_XML = b"\xef\xbb\xbf \t\r\n"
_DECLARATION = re.compile(
    r"\A\s*<\?xml[^>]{0,200}\?>"
)  # names an encoding, where the text is decoded already
_DEFINITION = re.compile("<!(?!--)")
# What XML 1.0 has no place for: raw, or written as a number.
_NO_XML = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|&#(?:0*(?:[0-8]|1[124-9]|2[0-9]|3[01])|[xX]0*(?:[0-8bBcCeEfF]|1[0-9a-fA-F]|[dD][89a-fA-F][0-9a-fA-F]{2}));"
)


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
    """The fields of an answer's container, in JSON or as the attributes of XML; both are read with the same allowance.

    Raises:
        Malformed: it is neither.
    """
    return _from_xml(body) if body.lstrip(_BEFORE_XML)[:1] == b"<" else _from_json(body)


def _from_json(body: bytes) -> dict[str, Any]:
    try:
        document = decoded(body)
    except NotJson:
        raise Malformed("JSON") from None
    container = document.get("MediaContainer") if isinstance(document, dict) else None
    if not isinstance(container, dict):
        raise Malformed("MediaContainer")
    return container


def _from_xml(body: bytes) -> dict[str, Any]:
    text = body.decode("utf-8-sig", "replace")
    if _DEFINITION.search(text):  # entities could grow without end, and no identity has any
        raise Malformed("XML")
    plain = _NO_XML.sub("\ufffd", _DECLARATION.sub("", text, count=1))
    try:
        root = ElementTree.fromstring(plain)  # noqa: S314 - without entities there is nothing to fear
    except ElementTree.ParseError:
        raise Malformed("XML") from None
    return dict(root.attrib) if root.tag == "MediaContainer" else {}
