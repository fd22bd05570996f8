"""Refuses requests whose Host is not this server, or that a page of another site has sent.

A name that somebody else owns may be made to lead to a loopback address while a page of theirs is open (DNS rebinding).
The browser then takes that page for ours; only the Host header shows the difference.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

import psutil
from flask import Request

from api.security.addresses import parsed
from api.security.cors import allowed
from config.settings import Settings
from engine.errors import Forbidden

_LOOPBACK_NAME = "localhost"
_LONGEST = 255  # characters of a host name with port


def own_origins(request: Request) -> tuple[str, str]:
    """The origins of our own pages, as the Host of this request has them.

    With https as well as with the scheme that we see: TLS may end at a proxy.
    """
    first, second = (f"{scheme}://{request.host}".lower() for scheme in (request.scheme, "https"))
    return first, second


def refuse_foreign_page(request: Request, settings: Settings) -> None:
    """Refuse a request that a page of another site has sent; one without `Origin` was sent by no page.

    Raises:
        Forbidden: the origin is neither ours nor one of `FRONTEND_URL` and `PUBLIC_URL`.
    """
    origin = request.headers.get("Origin")
    public = _origin_of(settings.public_url)
    if origin is not None and not allowed(origin, (*own_origins(request), *settings.frontend_url, *public)):
        raise Forbidden("A page of another site may not ask for this.")


def refuse_foreign_host(request: Request, settings: Settings) -> None:
    """Refuse a request whose Host is neither an address of this server nor a name that the settings give it.

    Raises:
        Forbidden: the Host is no loopback address, none that the server listens on, and not that of `PUBLIC_URL` or
            `FRONTEND_URL`.
    """
    host = _host(request.host)
    known = {urlsplit(url).hostname for url in (settings.public_url, *settings.frontend_url) if url}
    if host is None or not (host == _LOOPBACK_NAME or host in known or _listens_on(host, settings)):
        raise Forbidden(
            f"This takes an address of the server itself, such as http://127.0.0.1:{settings.port}; to come by a name, "
            "set PUBLIC_URL to it first."
        )


def _host(text: str) -> str | None:
    """The name or address of a Host header, without its port; None where it is neither."""
    if len(text) > _LONGEST:
        return None
    address = parsed(text)
    if address is not None:
        return str(address)
    return text.partition(":")[0].lower().removesuffix(".") or None


def _listens_on(host: str, settings: Settings) -> bool:
    """Whether a connection to this name or address ends here."""
    listening = settings.listen_host.lower()
    if host == listening:
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if address.is_loopback:
        return True
    everywhere = parsed(listening)
    if everywhere is None or not everywhere.is_unspecified:
        return False
    own = (parsed(entry.address) for entries in psutil.net_if_addrs().values() for entry in entries)
    return address in own


def _origin_of(url: str) -> tuple[str, ...]:
    parts = urlsplit(url)
    return (f"{parts.scheme}://{parts.netloc}",) if url else ()
