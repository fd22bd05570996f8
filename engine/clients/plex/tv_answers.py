"""Reads what plex.tv answers: PINs, accounts, servers; what can't be read is refused: it decides who may sign in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from engine.clients.foreign_json import objects
from engine.clients.plex.errors import PlexGarbled

_LONGEST_NAME = 100
_LONGEST_LIFE = 86400 * 30  # seconds
_LONGEST_TOKEN = 4096


@dataclass(frozen=True)
class Pin:
    """A fresh PIN; its life is what plex.tv says.

    Attributes:
        expires_in: seconds.
        expires_at: by the clock of plex.tv.
    """

    id: str
    code: str
    expires_in: int
    expires_at: datetime


@dataclass(frozen=True)
class Account:
    """A person at plex.tv; `id` is the only thing that identifies them."""

    id: str
    username: str
    title: str
    email: str | None
    avatar: str | None


@dataclass(frozen=True)
class UsableServer:
    """A server that somebody may use."""

    identifier: str
    owned: bool


@dataclass(frozen=True)
class Servers:
    """The servers that somebody may use; not `whole` where an entry could not be read, which may be any of them."""

    known: Sequence[UsableServer]
    whole: bool = True


def pin_of(document: Any) -> Pin:
    """Read a new PIN.

    Raises:
        PlexGarbled: something is missing.
    """
    fields = _object(document)
    life = fields.get("expiresIn")
    if isinstance(life, bool) or not isinstance(life, int) or not 0 < life <= _LONGEST_LIFE:
        raise PlexGarbled("expiresIn")
    code = fields.get("code")
    if not isinstance(code, str) or not code.isascii() or not code.isalnum() or len(code) > _LONGEST_NAME:
        raise PlexGarbled("code")
    return Pin(_number(fields.get("id")), code, life, _time(fields.get("expiresAt")))


def claim_of(document: Any, pin_id: str) -> str | None:
    """Read the token of the PIN with this id; None while it is not claimed.

    Raises:
        PlexGarbled: it is another PIN, or as for `token_of`.
    """
    fields = _object(document)
    if _number(fields.get("id")) != pin_id:
        raise PlexGarbled("id")
    return token_of(fields)


def token_of(document: Any) -> str | None:
    """Read the token of a PIN; None while it is not claimed.

    Raises:
        PlexGarbled: it is not what a header can carry.
    """
    token = _object(document).get("authToken")
    if token is None or token == "":
        return None
    if not isinstance(token, str) or len(token) > _LONGEST_TOKEN:
        raise PlexGarbled("authToken")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise PlexGarbled("authToken")
    return token


def account_of(document: Any) -> Account:
    """Read an account; members of a Plex Home may lack a username and an address.

    Raises:
        PlexGarbled: it has no id.
    """
    fields = _object(document)
    account_id = _number(fields.get("id"))
    username, title = name_of(fields.get("username")), name_of(fields.get("title"))
    fallback = f"Plex {account_id}"
    return Account(
        account_id,
        username or title or fallback,
        title or username or fallback,
        _email(fields.get("email")),
        _web_address(fields.get("thumb")),
    )


def servers_of(document: Any) -> Servers:
    """Read the servers among what somebody may use: players and other things stand there too.

    Raises:
        PlexGarbled: it is no list.
    """
    read = [each for each in listed(document) if _described(each)]
    known = [
        UsableServer(each["clientIdentifier"], each.get("owned") is True)
        for each in read
        if "server" in each["provides"].split(",")
    ]
    return Servers(known, whole=len(read) == len(document))


def server_token_of(document: Any, server_id: str) -> str | None:
    """Read the token for one server among what somebody may use; None where it is not among it.

    Raises:
        PlexGarbled: it is no list, or the token is not what a header can carry.
    """
    for each in objects(listed(document)):
        if each.get("clientIdentifier") == server_id and "server" in str(each.get("provides")):
            return token_of({"authToken": each.get("accessToken")})
    return None


def listed(document: Any) -> list[Any]:
    """The list that all resources of an account are.

    Raises:
        PlexGarbled: it is none.
    """
    if not isinstance(document, list):
        raise PlexGarbled("resources")
    return document


def name_of(value: Any) -> str:
    """A name, without what can't be printed; empty where there is none."""
    if not isinstance(value, str):
        return ""
    return "".join(each for each in value if each.isprintable()).strip()[:_LONGEST_NAME]


def _described(resource: Any) -> bool:
    names = ("provides", "clientIdentifier")
    return isinstance(resource, dict) and all(isinstance(resource.get(name), str) for name in names)


def _object(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise PlexGarbled("object")
    return document


def _number(value: Any) -> str:
    """An id, which is a number, as text."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 20:
        return value
    raise PlexGarbled("id")


def _email(value: Any) -> str | None:
    text = value.strip() if isinstance(value, str) else ""
    return text if "@" in text and len(text) <= 254 and text.isprintable() else None


def _web_address(value: Any) -> str | None:
    if not isinstance(value, str) or len(value) > 1000 or not value.isprintable() or " " in value:
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    return value if parts.scheme in {"http", "https"} and parts.hostname else None


def _time(value: Any) -> datetime:
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise PlexGarbled("expiresAt") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
