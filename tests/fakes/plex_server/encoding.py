"""JSON and XML of one answer, from the same dicts; the bytes of an item are made once and kept until it changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import quoteattr

import orjson

from tests.fakes.plex_server import shapes
from tests.fakes.plex_server.items import Account, Item

_ELEMENTS = {"movie": "Video", "episode": "Video", "clip": "Video", "track": "Track", "photo": "Photo"}


@dataclass
class Answer:
    """A `MediaContainer`: its own attributes, lists of plain dicts by name, and items (`Metadata`) as encoded fragments."""

    head: dict[str, Any] = field(default_factory=dict)
    lists: dict[str, Any] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    account: Account | None = None
    guids: bool = False
    detail: bool = False
    start: int | None = None  # for the X-Plex-Container headers, where a part was asked for
    total: int | None = None

    def encoded(self, *, json: bool) -> bytes:
        """The body."""
        assert self.account is not None or not self.items
        fragments = (
            [fragment(one, self.account, self.guids, self.detail, json) for one in self.items]
            if self.account
            else []
        )
        return self._json(fragments) if json else self._xml(fragments)

    def _json(self, fragments: list[bytes]) -> bytes:
        body = orjson.dumps({**self.head, **{name: value for name, value in self.lists.items() if value}})
        if fragments:  # `Metadata` is left out where there is none
            body = body[:-1] + b',"Metadata":[' + b",".join(fragments) + b"]}"
        return b'{"MediaContainer":' + body + b"}"

    def _xml(self, fragments: list[bytes]) -> bytes:
        inside = b"".join(element(name, one) for name, value in self.lists.items() for one in _each(value))
        opening = f"<MediaContainer{_attributes(self.head)}>".encode()
        return (
            b'<?xml version="1.0" encoding="UTF-8"?>\n'
            + opening
            + b"\n"
            + inside
            + b"".join(fragments)
            + b"</MediaContainer>\n"
        )


def fragment(one: Item, account: Account, guids: bool, detail: bool, json: bool) -> bytes:
    """The bytes of one item for that account; shared by all accounts that did nothing with it."""
    key = (json, guids, detail, account.id if account.id in one.seen_by else 0)
    made = one.encoded.get(key)
    if made is None:
        said = shapes.item(one, account, guids=guids, detail=detail)
        # copied, since orjson leaves room behind its bytes: 60 MB of ten thousand items
        made = bytes(bytearray(orjson.dumps(said))) if json else element("Metadata", said)
        one.encoded[key] = made
    return made


def element(name: str, said: Mapping[str, Any]) -> bytes:
    """One XML element: scalars are attributes, lists and dicts are children."""
    if name == "Metadata":
        name = _ELEMENTS.get(str(said.get("type")), "Directory")
    children = b"".join(
        element(child, one)
        for child, value in said.items()
        if isinstance(value, list | dict)
        for one in _each(value)
    )
    opening = f"<{name}{_attributes(said)}".encode()
    return opening + b">\n" + children + f"</{name}>\n".encode() if children else opening + b" />\n"


def _each(value: Any) -> Iterable[Mapping[str, Any]]:
    return [value] if isinstance(value, dict) else value


def _attributes(said: Mapping[str, Any]) -> str:
    return "".join(
        f" {name}={quoteattr(_text(value))}"
        for name, value in said.items()
        if not isinstance(value, list | dict)
    )


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
