"""The types of notifications that preferences know, and who gets each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from engine.permissions import Permission

SOCKET = "socket"
# What a new channel is told of, until its owner chooses.
SUGGESTED = ("request.new", "request.approved", "request.denied", "request.available", "request.failed")
_OF_ADMINS = frozenset(
    {Permission.REQUESTS_MANAGE, Permission.INTEGRATIONS_CONFIGURE, Permission.OPERATIONS_VIEW}
)
_FAMILIES = {"security": "security", "user": "security", "sync": "sync.failed", "alert": "alert"}


@dataclass(frozen=True)
class NoticeKind:
    """A type of notifications.

    Attributes:
        about: what it tells of, for people.
        permission: who gets it.
    """

    about: str
    permission: Permission


KINDS: Mapping[str, NoticeKind] = {
    "request.new": NoticeKind("Somebody asks for something", Permission.REQUESTS_MANAGE),
    "request.approved": NoticeKind("A request was approved", Permission.MEDIA_REQUEST),
    "request.denied": NoticeKind("A request was denied", Permission.MEDIA_REQUEST),
    "request.available": NoticeKind("A request can be watched", Permission.MEDIA_REQUEST),
    "request.failed": NoticeKind("A request could not be fetched", Permission.MEDIA_REQUEST),
    "download.completed": NoticeKind("A download is finished", Permission.MEDIA_REQUEST),
    "download.failed": NoticeKind("A download failed", Permission.MEDIA_REQUEST),
    "download.available": NoticeKind("A download can be watched in Plex", Permission.MEDIA_REQUEST),
    "download.not_in_plex": NoticeKind("A download is missing in Plex", Permission.MEDIA_REQUEST),
    "security": NoticeKind("A sign-in, a password, a key: the safety of accounts", Permission.MEDIA_READ),
    "sync.failed": NoticeKind("Plex could not be read", Permission.INTEGRATIONS_CONFIGURE),
    "alert": NoticeKind("Something is wrong with the server", Permission.OPERATIONS_VIEW),
}


def offered(permissions: Collection[str]) -> list[str]:
    """The types that somebody with these permissions may choose channels for."""
    return [name for name, kind in KINDS.items() if kind.permission in permissions]


def preferred(type_: str) -> str | None:
    """The type in the preferences that a notification falls under; None: it goes to the socket alone."""
    return type_ if type_ in KINDS else _FAMILIES.get(type_.partition(".")[0])


def concerns_admins(type_: str) -> bool:
    """Whether a type is told to those who look after the installation, and so to `NOTIFY_URLS` too."""
    name = preferred(type_)
    return name is not None and KINDS[name].permission in _OF_ADMINS


def is_urgent(type_: str) -> bool:
    """Whether a type waits neither for quiet hours nor for a digest: what is about the safety of an account."""
    return preferred(type_) == "security"
