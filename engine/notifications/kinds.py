"""The types of notifications that preferences know, and who gets each."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from engine.permissions import Permission

SOCKET = "socket"
# What a new channel is told of, until its owner chooses.
SUGGESTED = ("request.new", "request.approved", "request.denied", "request.available", "request.failed")
_OF_ADMINS = frozenset(
    {Permission.REQUESTS_MANAGE, Permission.INTEGRATIONS_CONFIGURE, Permission.OPERATIONS_VIEW}
)
_FAMILIES = {"security": "security", "user": "security", "sync": "sync.failed", "alert": "alert"}


# By type the permission that who is told has.
KINDS: Mapping[str, Permission] = {
    "request.new": Permission.REQUESTS_MANAGE,
    "request.approved": Permission.MEDIA_REQUEST,
    "request.denied": Permission.MEDIA_REQUEST,
    "request.available": Permission.MEDIA_REQUEST,
    "request.failed": Permission.MEDIA_REQUEST,
    "download.completed": Permission.MEDIA_REQUEST,
    "download.failed": Permission.MEDIA_REQUEST,
    "download.available": Permission.MEDIA_REQUEST,
    "download.not_in_plex": Permission.MEDIA_REQUEST,
    "security": Permission.MEDIA_READ,
    "sync.failed": Permission.INTEGRATIONS_CONFIGURE,
    "alert": Permission.OPERATIONS_VIEW,
}


def offered(permissions: Collection[str]) -> list[str]:
    """The types that somebody with these permissions may choose channels for."""
    return [name for name, permission in KINDS.items() if permission in permissions]


def preferred(type_: str) -> str | None:
    """The type in the preferences that a notification falls under; None: it goes to the socket alone."""
    return type_ if type_ in KINDS else _FAMILIES.get(type_.partition(".")[0])


def concerns_admins(type_: str) -> bool:
    """Whether a type is told to those who look after the installation, and so to `NOTIFY_URLS` too."""
    name = preferred(type_)
    return name is not None and KINDS[name] in _OF_ADMINS


def is_urgent(type_: str) -> bool:
    """Whether a type waits neither for quiet hours nor for a digest: what is about the safety of an account."""
    return preferred(type_) == "security"
