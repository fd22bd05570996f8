"""Whose word is taken for where a request comes from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from api.security.addresses import RealAddress
from engine.rate_limits.limits import counted_address

PROXY, INNER = "10.0.0.1", "10.0.0.2"


def seen(peer: str | None, *, proxies: Iterable[str] = ("10.0.0.0/24",), **headers: str) -> dict[str, Any]:
    """What an application sees behind the middleware."""
    found: dict[str, Any] = {}

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        found.update(environ)
        return []

    environ = {
        "wsgi.url_scheme": "http",
        **{f"HTTP_X_FORWARDED_{key}": text for key, text in headers.items()},
    }
    if peer is not None:
        environ["REMOTE_ADDR"] = peer
    list(RealAddress(app, tuple(proxies))(environ, lambda *_: None))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (f"203.0.113.7, {INNER}", "203.0.113.7"),  # through two of ours
        ("1.2.3.4, 203.0.113.7", "203.0.113.7"),  # a client that claims to be another
        ("10.0.0.9, 203.0.113.7", "203.0.113.7"),  # ... or to be a proxy of ours
        (f"1.2.3.4, 203.0.113.7, {INNER}", "203.0.113.7"),
        (f"10.0.0.9, {INNER}", "10.0.0.9"),  # a client in the proxies' own network
        ("", PROXY),
        ("nonsense", PROXY),
        ("1.2.3.4, nonsense", PROXY),  # what stands left of it is not reached
        (f"1.2.3.4, nonsense, {INNER}", INNER),
        ("1.2.3.4,", PROXY),
        ("203.0.113.7:54321", "203.0.113.7"),
        ("203.0.113.7:port", PROXY),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("[2001:db8::7", PROXY),
        ("2001:DB8:0:0:0:0:0:7", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("203.0.113.7" + " " * 9000, "203.0.113.7"),
        ("9" * 5000, PROXY),
        ("1.2.3.4;203.0.113.7", PROXY),
    ],
)
def test_a_trusted_proxy_is_believed_as_far_as_trust_goes(forwarded: str, client: str) -> None:
    assert seen(PROXY, FOR=forwarded)["REMOTE_ADDR"] == client


@pytest.mark.parametrize("peer", ["198.51.100.1", "10.0.1.1", "2001:db8::1"])
def test_nobody_else_is_believed(peer: str) -> None:
    found = seen(peer, FOR="1.2.3.4", PROTO="https")

    assert (found["REMOTE_ADDR"], found["wsgi.url_scheme"]) == (peer, "http")


def test_without_trusted_proxies_nobody_is() -> None:
    assert seen("127.0.0.1", proxies=(), FOR="1.2.3.4", PROTO="https")["REMOTE_ADDR"] == "127.0.0.1"


def test_what_was_decided_can_not_be_decided_anew_further_in() -> None:
    for peer in (PROXY, "198.51.100.1"):
        assert not [name for name in seen(peer, FOR="1.2.3.4", PROTO="https") if "FORWARDED" in name]


@pytest.mark.parametrize(
    ("proto", "scheme"), [("https", "https"), ("HTTPS", "https"), ("https, http", "http"), ("gopher", "http")]
)
def test_the_scheme_is_what_the_nearest_proxy_says(proto: str, scheme: str) -> None:
    assert seen(PROXY, PROTO=proto)["wsgi.url_scheme"] == scheme


def test_a_dual_stack_peer_is_the_ipv4_address_that_it_is() -> None:
    assert seen("::ffff:198.51.100.1")["REMOTE_ADDR"] == "198.51.100.1"
    assert seen(f"::ffff:{PROXY}", FOR="203.0.113.7")["REMOTE_ADDR"] == "203.0.113.7"


def test_ipv6_proxies_can_be_trusted() -> None:
    found = seen("2001:db8::1", proxies=("2001:db8::/64",), FOR="203.0.113.7")

    assert found["REMOTE_ADDR"] == "203.0.113.7"


@pytest.mark.parametrize("peer", ["", None])
def test_over_a_unix_socket_there_is_no_address_unless_a_proxy_of_this_host_is_trusted(
    peer: str | None,
) -> None:
    assert "REMOTE_ADDR" not in seen(peer, FOR="203.0.113.7")
    assert seen(peer, proxies=("127.0.0.1",), FOR="203.0.113.7")["REMOTE_ADDR"] == "203.0.113.7"


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        (None, "local"),
        ("", "local"),
    ],
)
def test_an_ipv6_client_counts_by_its_network(address: str | None, counted: str) -> None:
    assert counted_address(address) == counted
