"""The guard of an attempt's process: no connection into private networks, no program but those we know.

Asked by the interpreter itself (PEP 578) at the moment a socket is given its address, so nothing lies between the
check and the connection: no second look-up of a name, no redirect, no library with a way of its own. It cannot be
taken off again; each attempt has a process of its own, which ends with it.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# From the special-purpose registries of IANA, where "globally reachable" is not true.
_PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        (
            *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8"),
            *("100.64.0.0/10", "198.18.0.0/15", "192.0.0.0/24"),  # carriers, benchmarks, protocol assignments
            *("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),  # examples in books
            *("::1/128", "fc00::/7"),
        ),
    )
)
# Nobody's videos are there, whatever is allowed: cloud machines find their own credentials at these.
_NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            *("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "192.88.99.0/24"),
            "169.254.0.0/16",  # link-local: the metadata services of nearly all clouds
            *("100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32"),  # Alibaba, Oracle, Azure
            *("fd00:ec2::/32", "fd20:ce::254/128"),  # Amazon, Google
        ),
    )
)
_GLOBAL_V6 = ipaddress.ip_network("2000::/3")
# Teredo, ORCHID and other special ones; 6to4; examples.
_NOT_GLOBAL_V6 = tuple(map(ipaddress.ip_network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class BlockedAddressError(ConnectionError):
    """A connection was refused by us, before its first packet; the text names the address, for the log."""


class BlockedProgramError(PermissionError):
    """A program was not started."""


class _Guard:
    """The rules of this process; there are none before `install`."""

    def __init__(self) -> None:
        self.allow_private = False
        self.allowed: frozenset[tuple[str, int]] = frozenset()
        self.programs: frozenset[str] = frozenset()
        self.installed = False
        self.refused: list[str] = []


_guard = _Guard()


def install(
    *, allow_private: bool, programs: Iterable[str] = (), allowed: Iterable[tuple[str, int]] = ()
) -> None:
    """From now on this process, with all its threads, connects to public addresses only.

    Args:
        allow_private: whether loopback and private networks may be reached too; the metadata services of clouds,
            link-local, multicast and reserved addresses never are.
        programs: paths of the programs that may be started.
        allowed: addresses with ports that may be reached besides.
    """
    _guard.allow_private = allow_private
    _guard.allowed = frozenset(allowed)
    _guard.programs = frozenset(programs)
    _guard.refused.clear()
    if not _guard.installed:
        sys.addaudithook(_hook)
        _guard.installed = True


def refused() -> str | None:
    """The first address that this process was kept from, or None."""
    return _guard.refused[0] if _guard.refused else None


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet's, IPv4 addresses inside IPv6 ones looked through.

    Raises:
        ValueError: not an IP address.
    """
    return _reachable(_plain(ipaddress.ip_address(address)), allow_private=False)


def is_never_asked(address: str) -> bool:
    """Whether an IP address is one that nobody may have asked: link-local, a cloud's metadata, reserved, multicast.

    Raises:
        ValueError: not an IP address.
    """
    return not _reachable(_plain(ipaddress.ip_address(address.partition("%")[0])), allow_private=True)


def _reachable(address: _Address, *, allow_private: bool) -> bool:
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    if any(address in network for network in _PRIVATE if network.version == address.version):
        return allow_private
    if isinstance(address, ipaddress.IPv4Address):
        return True
    special = any(address in network for network in _NOT_GLOBAL_V6)
    return address in _GLOBAL_V6 and not special


def _plain(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 one stands for on this machine or behind a NAT64 (RFC 6052)."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _hook(event: str, args: tuple[Any, ...]) -> None:
    check = _CHECKS.get(event)
    if check is not None:
        check(*args)


def _connecting(sock: socket.socket, address: Any, *_: Any) -> None:
    if address is None:  # a datagram on a socket that was connected, hence checked, before
        return
    if not _may_connect(sock.family, address):
        place = f"{address[0]} port {address[1]}" if isinstance(address, tuple) else repr(address)
        _guard.refused.append(place)
        raise BlockedAddressError(f"connection to {place} refused by the guard")


def _may_connect(family: int, address: Any) -> bool:
    if family not in {socket.AF_INET, socket.AF_INET6} or not isinstance(address, tuple):
        return False
    if (address[0], address[1]) in _guard.allowed:
        return True
    try:
        found = ipaddress.ip_address(str(address[0]).partition("%")[0])
    except ValueError:
        return False  # a name: what it would be resolved to is not seen here
    return _reachable(_plain(found), allow_private=_guard.allow_private)


def _starting(executable: Any, arguments: Any, *_: Any) -> None:
    words = [arguments] if isinstance(arguments, str | bytes) else list(arguments)
    texts = [os.fsdecode(word) for word in words]
    # Our own calls pass: ffmpeg with local files only, deno without any permission.
    harmless = not any("://" in text or text.startswith(("--allow", "-A")) for text in texts)
    if os.fsdecode(executable) not in _guard.programs or not harmless:
        raise BlockedProgramError(f"{os.fsdecode(executable)} is not started here")


def _other_ways(*_: Any) -> None:
    raise BlockedProgramError("programs are started by subprocess only")


_CHECKS: dict[str, Callable[..., None]] = {
    "socket.connect": _connecting,  # connect_ex too
    "socket.sendto": _connecting,
    "socket.sendmsg": _connecting,
    "subprocess.Popen": _starting,
    "os.system": _other_ways,
    "os.exec": _other_ways,
    "os.posix_spawn": _other_ways,
}
