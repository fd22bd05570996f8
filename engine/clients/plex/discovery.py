"""Finds Plex servers, and finds out whether one is what it should be: the test behind the button.

The token is only sent to a server that has said, when it was asked without one, that it is the one that was meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from engine.clients import connection_test
from engine.clients.connection_test import ConnectionTestFailed, Reply
from engine.clients.foreign_json import objects
from engine.clients.plex import answers
from engine.clients.plex.errors import PlexGarbled
from engine.clients.plex.http import headers
from engine.clients.plex.tv_answers import listed, name_of

OLDEST = (1, 20)  # brought the agents whose ids and `Guid` lists the catalogue is made of
PLACES_SECONDS = 6.0  # for all addresses together
_MOST_SERVERS, _MOST_PLACES = 20, 12
_LONGEST = 500
_VERSION = re.compile(r"(\d+)\.(\d+)")


@dataclass(frozen=True)
class ServerFacts:
    """A server as it described itself; `root` is its answer to `/`, empty where it was asked without a token."""

    machine_id: str
    version: str
    identity: Mapping[str, Any]
    root: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What its owner calls it."""
        return str(self.root.get("friendlyName") or "Plex")


@dataclass(frozen=True)
class Place:
    """An address of a server; a relay goes through Plex's own servers, and is slow."""

    uri: str
    local: bool
    relay: bool


@dataclass(frozen=True)
class Offer:
    """A server that an account may use; the first place is the one we like best. `token` is for that server only."""

    machine_id: str
    name: str
    version: str
    platform: str
    owned: bool
    places: tuple[Place, ...]
    token: str = field(repr=False)


def examine(
    url: str, token: str | None, client_id: str, *, expected: str | None = None, verify: bool = True
) -> ServerFacts:
    """Ask a server who it is, and with a token whether it lets us in.

    Args:
        url: of the server.
        token: to be tried; None: it is only asked who it is.
        client_id: by which Plex knows this installation.
        expected: the machineIdentifier that it should have.
        verify: whether certificates are checked.

    Raises:
        ConnectionTestFailed: it is not what it should be.
    """
    base, ours = url.rstrip("/"), headers(client_id)
    identity = _identity(connection_test.get(f"{base}/identity", headers=ours, verify=verify))
    machine_id, version = str(identity.get("machineIdentifier") or ""), str(identity.get("version") or "")
    if not machine_id or len(machine_id) > _LONGEST:
        raise _not_plex("What answers there does not say which Plex server it is.")
    if expected is not None and machine_id != expected:
        raise ConnectionTestFailed(
            "other_server",
            "Another Plex server answers at this address.",
            "Give the address of the right one, or connect this one: then without `machineIdentifier`.",
        )
    _check_age(version)
    if identity.get("claimed") in {False, "0"}:
        raise ConnectionTestFailed(
            "unclaimed",
            "This Plex server does not belong to an account at plex.tv.",
            "Claim it: open http://127.0.0.1:32400/web on the machine where it runs, and sign in.",
        )
    if token is None:
        return ServerFacts(machine_id, version, identity, {})
    proving = ours | {"X-Plex-Token": token}
    root = connection_test.get(f"{base}/", headers=proving, verify=verify)
    if root.status in {401, 403}:
        raise ConnectionTestFailed(
            "unauthorized",
            "The Plex server does not accept the token.",
            "Give the token of the server's owner; it changes when they sign out everywhere or change their password.",
        )
    try:
        facts = _container(root)
    except ConnectionTestFailed:
        # It only says what the server calls itself. That it lets us in, and speaks JSON, its libraries show.
        facts = {}
        _container(connection_test.get(f"{base}/library/sections", headers=proving, verify=verify))
    return ServerFacts(machine_id, version, identity, facts)


def offers_of(document: Any) -> list[Offer]:
    """Read the servers among the resources of an account.

    Raises:
        PlexGarbled: it is no list of resources.
    """
    found = [offer for each in objects(listed(document)) for offer in _offer(each)]
    return found[:_MOST_SERVERS]


def reachable(offers: Sequence[Offer], client_id: str) -> list[list[ConnectionTestFailed | None]]:
    """By server and place what is wrong with it, as seen from here; None: that server answers there."""
    asked = [
        partial(examine, place.uri, None, client_id, expected=offer.machine_id)
        for offer in offers
        for place in offer.places
    ]
    found = connection_test.run_in_parallel(asked, PLACES_SECONDS)
    failures = iter([each if isinstance(each, ConnectionTestFailed) else None for each in found])
    return [[next(failures) for _ in offer.places] for offer in offers]


def _identity(answer: Reply) -> Mapping[str, Any]:
    """Who answers, in JSON or in XML: some proxies and old habits give XML to whoever has no token."""
    try:
        return answers.fields(answer.body) if answer.status == 200 else _container(answer)
    except PlexGarbled:
        return _container(answer)


def _container(answer: Reply) -> Mapping[str, Any]:
    if answer.status >= 500:
        raise ConnectionTestFailed(
            "not_ready",
            f"It answers that it is not ready (status {answer.status}).",
            "A Plex server that starts or is being updated answers so for a while: try again in a few minutes.",
        )
    if 300 <= answer.status < 400:
        raise _not_plex("What answers there sends us to another address, which is not followed.")
    if answer.status in {401, 403}:
        raise _not_plex("Something in front of the server asks for a sign-in of its own.")
    if answer.status != 200:
        raise _not_plex(f"What answers there is no Plex server (status {answer.status}).")
    try:
        return answers.container(answer.body)
    except PlexGarbled:
        if "machineIdentifier" in _fields(answer.body):
            raise _too_old("It answers in XML only.") from None
        raise _not_plex("What answers there is no Plex server.") from None


def _fields(body: bytes) -> Mapping[str, Any]:
    try:
        return answers.fields(body)
    except PlexGarbled:
        return {}


def _check_age(version: str) -> None:
    numbers = _VERSION.match(version)
    if numbers is not None and (int(numbers[1]), int(numbers[2])) < OLDEST:
        raise _too_old(f"Its version is {numbers[0]}.")


def _too_old(seen: str) -> ConnectionTestFailed:
    oldest = ".".join(map(str, OLDEST))
    return ConnectionTestFailed(
        "too_old",
        f"This Plex server is too old. {seen}",
        f"Update it: MediaNest needs {oldest} or newer.",
    )


def _not_plex(message: str) -> ConnectionTestFailed:
    return ConnectionTestFailed(
        "not_plex", message, "Give the address of the Plex server itself, such as http://192.168.1.20:32400."
    )


def _offer(resource: Mapping[str, Any]) -> Iterator[Offer]:
    """A resource, where it is a server that we may ask; players and half-described things are not."""
    words = [resource.get(name) for name in ("clientIdentifier", "accessToken", "provides")]
    if not all(isinstance(word, str) and 0 < len(word) <= _LONGEST and word.isascii() for word in words):
        return
    machine_id, token, provides = map(str, words)
    if "server" not in provides.split(",") or not token.isprintable() or " " in token:
        return
    connections = resource.get("connections")
    places = [
        place
        for each in (connections if isinstance(connections, list) else [])
        if isinstance(each, dict)
        for place in _places(each, https_only=resource.get("httpsRequired") is True)
    ]
    places.sort(key=lambda place: (place.relay, not place.local, not place.uri.startswith("https://")))
    yield Offer(
        machine_id,
        name_of(resource.get("name")) or "Plex",
        name_of(resource.get("productVersion")),
        name_of(resource.get("platform")),
        resource.get("owned") is True,
        tuple(dict.fromkeys(places))[:_MOST_PLACES],
        token,
    )


def _places(connection: Mapping[str, Any], *, https_only: bool) -> Iterator[Place]:
    local, relay = connection.get("local") is True, connection.get("relay") is True
    uri = connection.get("uri")
    if _is_address(uri):
        yield Place(str(uri).rstrip("/"), local, relay)
    # Many routers refuse names that lead into one's own network, which plex.direct's do.
    host, port = connection.get("address"), connection.get("port")
    if local and not https_only and isinstance(host, str) and isinstance(port, int):
        plain = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        if _is_address(plain):
            yield Place(plain, local, relay)


def _is_address(uri: object) -> bool:
    if not isinstance(uri, str) or len(uri) > _LONGEST or not uri.isascii() or not uri.isprintable():
        return False
    try:
        parts = urlsplit(uri)
        return (
            parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in uri and parts.port != 0
        )
    except ValueError:
        return False
