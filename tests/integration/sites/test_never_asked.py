"""Whatever an admin types for an integration: link-local addresses and the like are never asked."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

import pytest
from door import Person, data_of, refused

from engine.clients import egress_guard, typed_addresses
from engine.clients.plex.actions import scan
from engine.clients.plex.errors import PlexUnreachable
from engine.clients.plex.identity import identity
from engine.clients.plex.library import PlexLibrary
from engine.clients.plex.push import messages
from engine.clients.plex.queries import PlexQuestions
from tests.fakes.plex_server import PlexDouble
from tests.fakes.raw_site import RawSite, head

NAMES = ["plex", "overseerr", "tmdb"]
NEVER = [
    "169.254.169.254", "169.254.1.1", "[fe80::1]", "[fe80::1%25eth0]", "[::ffff:169.254.169.254]", "0.0.0.0",
    "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "100.100.100.200", "168.63.129.16",
    "224.0.0.1", "255.255.255.255", "[fd00:ec2::254]", "[64:ff9b::a9fe:a9fe]", "[::]", "[ff02::1]",
]  # fmt: skip
MAY_BE = [
    "127.0.0.1",
    "10.1.2.3",
    "192.168.1.20",
    "172.16.0.1",
    "100.64.0.1",
    "::1",
    "fd12::1",
    "8.8.8.8",
    "2606:4700::1",
]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The addresses that somebody tried to connect to; the host `meta.example` leads to a link-local one."""
    seen: list[Any] = []
    looked_up: list[str] = []
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def watched(self: socket.socket, address: Any) -> None:
        seen.append(address[0])
        connect(self, address)

    def look_up(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        numeric = more.get("flags", 0) & socket.AI_NUMERICHOST
        if host == "late.example" and not numeric and not looked_up:  # it answers when it is asked again
            looked_up.append(host)
            raise socket.gaierror(socket.EAI_AGAIN, "not now")
        found = "169.254.169.254" if host in {"meta.example", "late.example"} and not numeric else host
        return resolve(found, port, *args, **more)

    monkeypatch.setattr(socket.socket, "connect", watched)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return seen


def said(admin: Person, name: str, url: str) -> dict[str, Any]:
    data: dict[str, Any] = data_of(
        admin.post(f"/integrations/{name}/test", json={"url": url, "token": "a" * 32})
    )
    return data


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("host", NEVER)
def test_such_an_address_is_not_accepted(admin: Person, asked: list[Any], name: str, host: str) -> None:
    body = {"url": f"http://{host}:8080", "token": "a" * 32}

    for answer in (
        admin.post(f"/integrations/{name}/test", json=body),
        admin.request("PUT", f"/integrations/{name}", json=body),
    ):
        assert "never asked" in str(refused(answer, 400, "VALIDATION_ERROR")["details"])
    assert not [each for each in asked if str(each).startswith(("169", "fe80", "0."))]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_leads_there_is_not_asked(admin: Person, asked: list[Any], name: str) -> None:
    found = said(admin, name, "http://meta.example:8080")

    assert (found["ok"], found["reason"]) == (False, "never_asked")
    assert "169.254.169.254" not in [*asked, str(found)]


@pytest.mark.parametrize("name", NAMES)
def test_one_look_up_decides(admin: Person, asked: list[Any], name: str) -> None:
    found = said(admin, name, "http://late.example:8080")

    assert (found["ok"], found["reason"]) == (False, "unknown_host")
    assert "169.254.169.254" not in asked


@pytest.mark.parametrize("name", NAMES)
def test_a_redirect_there_is_not_followed(admin: Person, asked: list[Any], name: str) -> None:
    with RawSite() as site:
        moved = [head("302 Found", Location="http://169.254.169.254/latest", Content_Length="0")]
        paths = ("/identity", "/", "/api/v1/settings/public", "/api/v1/request/count", "/configuration")
        site.answers = dict.fromkeys(paths, moved)

        found = said(admin, name, site.url)

        assert found["ok"] is False
        assert site.asked
        assert "169.254.169.254" not in asked


ASKERS: dict[str, Callable[[str], Any]] = {
    "library": lambda url: PlexLibrary(url, "t", "me").container("/identity"),
    "questions": lambda url: PlexQuestions(url, "t", "me").container("/identity"),
    "scan": lambda url: scan(PlexQuestions(url, "t", "me"), "1", "/x"),
    "identity": lambda url: identity(url, "me"),
    "notifications": lambda url: list(messages(url, "t", "me", verify=True, patience=1.0)),
}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("asker", ASKERS)
def test_a_stored_address_that_leads_there_later_is_not_asked(
    asked: list[Any], asker: str, scheme: str
) -> None:
    with pytest.raises(PlexUnreachable):
        ASKERS[asker](f"{scheme}://meta.example:8080")

    assert "169.254.169.254" not in asked


@pytest.mark.parametrize("address", MAY_BE)
def test_a_server_at_home_may_be_asked(address: str) -> None:
    assert not egress_guard.is_never_asked(address)


def test_the_next_address_of_a_name_is_tried(admin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with two kinds of addresses of which the server has only one."""
    with PlexDouble() as plex:
        monkeypatch.setattr(typed_addresses, "resolved", lambda _host, _port, **_: ["127.0.0.3", "127.0.0.1"])
        found = data_of(admin.post("/integrations/plex/test", json={"url": plex.url, "token": plex.token}))

    assert found["ok"], found


def test_a_connection_is_to_what_was_checked(asked: list[Any]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server, suppress(OSError):
        typed_addresses.connected(f"http://localhost:{server.getsockname()[1]}", 2.0).close()

    assert "localhost" not in asked
    assert "127.0.0.1" in asked
