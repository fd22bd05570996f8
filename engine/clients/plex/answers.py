"""Reads the answers of Plex servers: the container, its lists and counts, the files of an item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from engine.clients.foreign_json import NotJson, decoded, objects
from engine.clients.foreign_xml import NotXml, root_of
from engine.clients.plex.errors import PlexGarbled

_BEFORE_XML = b"\xef\xbb\xbf \t\r\n"
_NO_ANSWER = "The server's answer is cut short, or no answer of Plex."


def container(body: bytes) -> Mapping[str, Any]:
    """The `MediaContainer` of an answer in JSON.

    Raises:
        PlexGarbled: it has none.
    """
    try:
        found = decoded(body)["MediaContainer"]
    except (NotJson, KeyError, TypeError):
        raise PlexGarbled(_NO_ANSWER) from None
    if not isinstance(found, Mapping):
        raise PlexGarbled(_NO_ANSWER)
    return found


def fields(body: bytes) -> Mapping[str, Any]:
    """The fields of a container in JSON or, all of them texts, in XML; both are read with the same allowance.

    Raises:
        PlexGarbled: it is neither.
    """
    root = _root(body)
    if root is None:
        return container(body)
    return dict(root.attrib) if root.tag == "MediaContainer" else {}


def either(body: bytes) -> Mapping[str, Any]:
    """The `MediaContainer` of an answer in JSON or, in the shape that JSON has, in XML, whose values are all texts.

    Raises:
        PlexGarbled: it has none.
    """
    root = _root(body)
    if root is None:
        return container(body)
    if root.tag != "MediaContainer":
        raise PlexGarbled(_NO_ANSWER)
    return {**root.attrib, "Metadata": [{**each.attrib, **_lists(each)} for each in root]}


def _root(body: bytes) -> Element | None:
    """The root of an answer in XML; None for one that is not XML."""
    if body.lstrip(_BEFORE_XML)[:1] != b"<":
        return None
    try:
        return root_of(body)
    except NotXml:
        raise PlexGarbled(_NO_ANSWER) from None


def _lists(element: Element) -> dict[str, list[dict[str, str]]]:
    """What stands in an element, by its name."""
    found: dict[str, list[dict[str, str]]] = {}
    for each in element:
        found.setdefault(each.tag, []).append(dict(each.attrib))
    return found


def rows(found: Any) -> Sequence[Mapping[str, Any]]:
    """The entries of a list in an answer, each at its place; one that is no object is an empty one.

    Raises:
        PlexGarbled: it is no list.
    """
    if found is None:
        return []
    if not isinstance(found, list):
        raise PlexGarbled(_NO_ANSWER)
    if all(isinstance(entry, dict) for entry in found):
        return found
    return [entry if isinstance(entry, dict) else {} for entry in found]


def count_of(value: Any) -> int | None:
    """A count in an answer; None where there is none."""
    text = str(value) if isinstance(value, int | str) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def parts(item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The files of an item; without those in the server's trash."""
    for media in objects(item.get("Media")):
        if not media.get("deletedAt"):
            yield from objects(media.get("Part"))


def readable(part: Mapping[str, Any]) -> bool:
    """Whether the server can read a file; it says so only of files that were checked."""
    return all(str(part.get(name, True)).lower() not in {"0", "false"} for name in ("exists", "accessible"))
