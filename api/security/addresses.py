"""The client's address: forwarding headers are believed only from `TRUSTED_PROXIES`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_FOR, _PROTO = "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO"
_LOOPBACK = "127.0.0.1"  # what a proxy that comes over a Unix socket counts as: it is on this host
_LONGEST = 64  # characters of an address with brackets, zone and port

Address = IPv4Address | IPv6Address


class RealAddress:
    """WSGI middleware that sets `REMOTE_ADDR` and the scheme to the client's, before anything else reads them.

    Args:
        app: what serves.
        proxies: addresses or networks, as text. `X-Forwarded-For` is walked from its right end for as long as the
            hop that wrote an entry is one of them, so whatever a client puts there itself is never reached.
    """

    def __init__(self, app: WSGIApplication, proxies: Sequence[str]) -> None:
        self._app = app
        self._networks = tuple(map(ip_network, proxies))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        forwarded, proto = environ.pop(_FOR, ""), environ.pop(_PROTO, "")
        peer = environ.pop("REMOTE_ADDR", None) or None
        if self._networks and is_within(peer or _LOOPBACK, self._networks):
            peer = client_of(peer, forwarded, self._networks)
            scheme = proto.rpartition(",")[2].strip().lower()
            if scheme in {"http", "https"}:
                environ["wsgi.url_scheme"] = scheme
        address = None if peer is None else parsed(peer)
        if address is not None:
            environ["REMOTE_ADDR"] = str(address)
        return self._app(environ, start_response)


def client_of(
    peer: str | None, forwarded: str, networks: tuple[IPv4Network | IPv6Network, ...]
) -> str | None:
    """The client behind a trusted proxy; `peer` itself where the header can't be parsed."""
    while forwarded:
        forwarded, _, hop = forwarded.rpartition(",")
        address = parsed(hop.strip())
        if address is None:
            break
        peer = str(address)
        if not is_within(peer, networks):
            break
    return peer


@lru_cache(maxsize=4096)
def is_within(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    """Whether an address belongs to one of the networks."""
    found = parsed(address)
    return found is not None and any(found in network for network in networks)


@lru_cache(maxsize=4096)
def parsed(text: str) -> Address | None:
    """An address as proxies write it, with or without brackets and port; None where it is none.

    An IPv4-mapped IPv6 address becomes IPv4; a zone is left out.
    """
    if len(text) > _LONGEST:
        return None
    if text.startswith("["):
        text, closed, port = text[1:].partition("]")
        if not closed or not _is_port(port):
            return None
    elif text.count(":") == 1:
        text, _, number = text.partition(":")
        if not _is_port(f":{number}"):
            return None
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _is_port(text: str) -> bool:
    """Whether this is nothing, or a colon with a number."""
    return not text or (text[0] == ":" and text[1:].isascii() and text[1:].isdecimal() and len(text) <= 6)
