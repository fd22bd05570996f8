"""What sockets tell, and who may read each kind of it: the same permissions that the same datum asks for over HTTP."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from engine.permissions import Permission

Topic = Literal["media", "account", "system", "admin", "public"]


@dataclass(frozen=True)
class Datum:
    """A kind of thing that events and snapshots tell of.

    Attributes:
        name: on the wire between our processes.
        events: how the names of its events begin.
        topic: which of the socket paths carry it; `public` is for strangers too.
        asks: the permissions to read what is one's own, or belongs to nobody; none: for everybody.
        others: the permissions to read it whoever's it is; None: it has no owner, or is for its owner alone.
        owned: whether each belongs to a person.
    """

    name: str
    events: str
    topic: Topic
    asks: frozenset[Permission]
    others: frozenset[Permission] | None = None
    owned: bool = False

    def readable(self, permissions: Collection[str], *, own: bool) -> bool:
        """Whether somebody with these permissions may read one that is their own or nobody's, or one of another."""
        held = frozenset(permissions)
        return (self.others is not None and self.others <= held) or (own and self.asks <= held)


_REQUEST, _MANAGE = frozenset({Permission.MEDIA_REQUEST}), frozenset({Permission.REQUESTS_MANAGE})
_READ = frozenset({Permission.MEDIA_READ})
_WATCH_ALL = _READ | {Permission.OPERATIONS_VIEW}

DOWNLOAD = Datum("download", "download:", "media", _REQUEST, _MANAGE, owned=True)
ARRIVAL = Datum("arrival", "media:added", "media", _REQUEST, _MANAGE, owned=True)
CATALOGUE = Datum("catalogue", "media:", "media", _READ)
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
        SYNC,
        WATCHING,
        WATCHING_OF_STRANGERS,
        NOTIFICATION,
        NOTICE,
    )
}


@dataclass(frozen=True, slots=True)
class Readable:
    """What somebody reads on a socket path: the names of the data of their own or nobody's, and of others'."""

    own: frozenset[str]
    others: frozenset[str]


NOTHING = Readable(frozenset(), frozenset())


def readable(topics: Collection[str], permissions: Collection[str]) -> Readable:
    """What a path carries, less what somebody with these permissions may not read over HTTP."""
    carried = [datum for datum in DATA.values() if datum.topic in topics]
    return Readable(
        frozenset(datum.name for datum in carried if datum.readable(permissions, own=True)),
        frozenset(datum.name for datum in carried if datum.owned and datum.readable(permissions, own=False)),
    )
