"""The kinds of data on sockets and the permissions to read each: the same as over HTTP."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from engine.permissions import Permission

Topic = Literal["media", "account", "system", "admin", "public"]


@dataclass(frozen=True)
class Datum:
    """A kind of data in events and snapshots.

    Attributes:
        name: between our processes.
        events: the prefix of its events' names.
        topic: the socket paths that carry it; `public` needs no account.
        asks: the permissions to read one's own, or one without an owner; empty: everybody may.
        others: the permissions to read anybody's; None: it has no owner, or is for its owner alone.
        owned: whether each has an owner.
    """

    name: str
    events: str
    topic: Topic
    asks: frozenset[Permission]
    others: frozenset[Permission] | None = None
    owned: bool = False

    def readable(self, permissions: Collection[str], *, own: bool) -> bool:
        """Whether these permissions suffice to read a datum: `own`, one's own or without an owner; else another's."""
        held = frozenset(permissions)
        return (self.others is not None and self.others <= held) or (own and self.asks <= held)


_REQUEST, _MANAGE = frozenset({Permission.MEDIA_REQUEST}), frozenset({Permission.REQUESTS_MANAGE})
_READ = frozenset({Permission.MEDIA_READ})
_WATCH_ALL = _READ | {Permission.OPERATIONS_VIEW}

DOWNLOAD = Datum("download", "download:", "media", _REQUEST, _MANAGE, owned=True)
ARRIVAL = Datum("arrival", "media:added", "media", _REQUEST, _MANAGE, owned=True)
CATALOGUE = Datum("catalogue", "media:", "media", _READ)
REQUEST = Datum("request", "request:", "media", _REQUEST, _MANAGE, owned=True)
SYNC = Datum("sync", "sync:", "system", frozenset({Permission.INTEGRATIONS_CONFIGURE}))
WATCHING = Datum("watching", "plex:activity", "media", _READ, _WATCH_ALL, owned=True)
WATCHING_OF_STRANGERS = Datum("watching of strangers", "plex:activity", "admin", _WATCH_ALL)
NOTIFICATION = Datum("notification", "notification:new", "account", _READ, owned=True)
NOTICE = Datum("notice", "notice:", "public", frozenset())

DATA = {
    datum.name: datum
    for datum in (
        DOWNLOAD,
        ARRIVAL,
        CATALOGUE,
        REQUEST,
        SYNC,
        WATCHING,
        WATCHING_OF_STRANGERS,
        NOTIFICATION,
        NOTICE,
    )
}


@dataclass(frozen=True, slots=True)
class Readable:
    """The data that a socket receives: names of data of their own or without an owner, and of others'."""

    own: frozenset[str]
    others: frozenset[str]


NOTHING = Readable(frozenset(), frozenset())


def readable(topics: Collection[str], permissions: Collection[str]) -> Readable:
    """The data of a socket path that these permissions may read."""
    carried = [datum for datum in DATA.values() if datum.topic in topics]
    return Readable(
        frozenset(datum.name for datum in carried if datum.readable(permissions, own=True)),
        frozenset(datum.name for datum in carried if datum.owned and datum.readable(permissions, own=False)),
    )
