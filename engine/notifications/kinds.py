"""The types of notifications that preferences know, who gets each, and how several become one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from engine.permissions import Permission

SOCKET = "socket"
_MOST_NAMED = 5


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
    "sync.failed": NoticeKind("Plex could not be read", Permission.INTEGRATIONS_CONFIGURE),
    "alert": NoticeKind("Something is wrong with the server", Permission.OPERATIONS_VIEW),
}


def offered(permissions: Collection[str]) -> list[str]:
    """The types that somebody with these permissions may choose channels for."""
    return [name for name, kind in KINDS.items() if kind.permission in permissions]


def preferred(type_: str) -> str | None:
    """The type in the preferences that a notification falls under; None: it goes to the socket alone."""
    if type_ in KINDS:
        return type_
    return "alert" if type_.startswith("alert.") else None


def grouped(type_: str, names: Sequence[str], count: int) -> tuple[str, str] | None:
    """Title and message of several notifications of one type; None for a type that is never grouped."""
    some = ", ".join(f"“{name}”" for name in list(dict.fromkeys(names))[:_MOST_NAMED])
    left = count - min(len(dict.fromkeys(names)), _MOST_NAMED)
    listed = f"{some} and {left} more" if left > 0 else some
    words = {
        "request.approved": (f"{count} requests were approved", f"On their way: {listed}."),
        "request.denied": (f"{count} requests were denied", f"Denied: {listed}."),
        "request.available": (f"{count} requests can be watched", f"In Plex now: {listed}."),
        "request.failed": (f"{count} requests could not be fetched", f"Not fetched: {listed}."),
        "request.new": (f"{count} requests wait for a decision", f"Asked for: {listed}."),
    }
    return words.get(type_)
