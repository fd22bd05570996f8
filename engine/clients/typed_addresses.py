"""Connections to addresses from admins and from foreign sites: never link-local or to a cloud's metadata.

An admin's may lead into any network, those that a foreign site names only to public addresses.

The check is made of the address that is connected to, so neither a name nor another notation leads past it.
"""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError

from engine.clients.egress_guard import BlockedAddressError, is_never_asked, is_public


class NeverAsked(NewConnectionError):
    """The host leads to an address that is never asked; nothing was sent there."""


def names_one_never_asked(url: str) -> bool:
    """Whether the host of a URL is such an address, in any notation a resolver understands; no name is looked up."""
    host = (urlsplit(url).hostname or "").partition("%")[0]
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return False
    return any(is_never_asked(str(place[4][0])) for place in found)


def resolved(host: str, port: int | None, *, public_only: bool = False) -> list[str]:
    """The addresses of a host.

    Args:
        host: a name or an address.
        port: to be connected to.
        public_only: addresses of private networks are refused too.

    Raises:
        BlockedAddressError: one of them is never asked, or not public.
        OSError: there is no such host.
    """
    try:
        places = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from error
    addresses = list(dict.fromkeys(str(place[4][0]) for place in places))
    if any(map(is_never_asked, addresses)) or (public_only and not all(map(is_public, addresses))):
        raise BlockedAddressError(f"{host} leads to an address that is not asked")
    return addresses


def connected(url: str, seconds: float) -> socket.socket:
    """A connection to the host of a URL.

    Raises:
        BlockedAddressError: see `resolved`.
        OSError: nobody answers within `seconds`.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme in {"https", "wss"} else 80)
    failure: OSError = OSError("no address")
    for address in resolved(parts.hostname or "", port):
        try:
            return socket.create_connection((address, port), seconds)
        except OSError as error:
            failure = error
    raise failure


class _Checked:
    """Of a connection of urllib3: look the host up once, check, and connect to what was found."""

    public_only = False
    _dns_host: str
    port: int

    def _new_conn(self) -> socket.socket:
        host = self._dns_host
        try:
            addresses = resolved(host, self.port, public_only=self.public_only)
        except BlockedAddressError as error:
            raise NeverAsked(self, str(error)) from error  # type: ignore[arg-type]
        except OSError as error:  # never left to urllib3, which would look the host up once more, unchecked
            raise NameResolutionError(host, self, socket.gaierror(str(error))) from error  # type: ignore[arg-type]
        try:
            for address in addresses[:-1]:
                try:
                    return self._to(address)
                except NewConnectionError:
                    continue
            return self._to(addresses[-1])
        finally:
            self._dns_host = host

    def _to(self, address: str) -> socket.socket:
        self._dns_host = address
        made: socket.socket = super()._new_conn()  # type: ignore[misc]
        return made


class _Connection(_Checked, HTTPConnection):
    """Over TCP."""


class _SecureConnection(_Checked, HTTPSConnection):
    """Over TLS, of which the name is that of the host."""


class _PublicConnection(_Connection):
    """To public addresses only."""

    public_only = True


class _SecurePublicConnection(_SecureConnection):
    """To public addresses only."""

    public_only = True


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _PublicPool(HTTPConnectionPool):
    ConnectionCls = _PublicConnection


class _SecurePublicPool(HTTPSConnectionPool):
    ConnectionCls = _SecurePublicConnection


class TypedAddressAdapter(HTTPAdapter):
    """For `Session.mount`: tries once, and connects to no address that is never asked.

    Args:
        public_only: nor to one of a private network.
    """

    def __init__(self, *, public_only: bool = False) -> None:
        self._public_only = public_only
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        """Called by requests."""
        super().init_poolmanager(*args, **more)
        pools = (_PublicPool, _SecurePublicPool) if self._public_only else (_Pool, _SecurePool)
        self.poolmanager.pool_classes_by_scheme = dict(zip(("http", "https"), pools, strict=True))
