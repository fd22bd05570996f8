"""Where and when a user is told of what: channels, events, quiet hours, digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.errors import NotFound
from engine.notifications.kinds import SOCKET, is_urgent, preferred
from engine.notifications.timing import Schedule
from models.delivery import NotificationChannel, NotificationPreferences
from models.user import User

ChannelKind = Literal["email", "apprise"]
CHANNEL_KINDS: tuple[ChannelKind, ...] = ("email", "apprise")
DIGESTS = ("none", "daily")


@dataclass(frozen=True)
class Preferences:
    """What a user chose; a type that is missing in `events` goes to the socket."""

    channels: Sequence[NotificationChannel]
    events: Mapping[str, Sequence[str]]
    quiet_from: time | None = None
    quiet_to: time | None = None
    time_zone: str = "UTC"
    digest: str = "none"

    def listens(self, type_: str) -> bool:
        """Whether the user's sockets are told of a type."""
        return SOCKET in self.places_of(type_)

    def channels_for(self, type_: str) -> list[NotificationChannel]:
        """The channels that are on and are told of a type."""
        chosen = self.places_of(type_)
        return [channel for channel in self.channels if channel.enabled and channel.id in chosen]

    def due(self, type_: str, now: datetime, digest_hour: int) -> datetime:
        """When a message of a type may be sent.

        Args:
            type_: of the notification.
            now: in UTC.
            digest_hour: local hour of daily digests.
        """
        if is_urgent(type_):
            return now
        quiet = None if self.quiet_from is None or self.quiet_to is None else (self.quiet_from, self.quiet_to)
        hour = digest_hour if self.digest == "daily" else None
        return Schedule(ZoneInfo(self.time_zone), quiet, hour).due(now)

    def places_of(self, type_: str) -> Sequence[str]:
        """Where a type goes: `SOCKET`, and ids of channels."""
        name = preferred(type_)
        return (SOCKET,) if name is None else self.events.get(name, (SOCKET,))


def of(db: Session, user_id: str) -> Preferences:
    """The preferences of a user, in one statement."""
    table = NotificationPreferences
    query = (
        select(NotificationChannel, table)
        .select_from(User)
        .outerjoin(NotificationChannel, NotificationChannel.user_id == User.id)
        .outerjoin(table, table.user_id == User.id)
        .where(User.id == user_id)
        .order_by(NotificationChannel.id)
    )
    rows = db.execute(query).all()
    chosen = rows[0][1] if rows else None
    channels = [row[0] for row in rows if row[0] is not None]
    if chosen is None:
        return Preferences(channels, {})
    return Preferences(
        channels,
        chosen.events,
        None if chosen.quiet_from is None else time.fromisoformat(chosen.quiet_from),
        None if chosen.quiet_to is None else time.fromisoformat(chosen.quiet_to),
        chosen.time_zone or "UTC",
        chosen.digest,
    )


def channel_of(db: Session, user_id: str, channel_id: str) -> NotificationChannel:
    """One of a user's channels.

    Raises:
        NotFound: it is not theirs.
    """
    found = db.get(NotificationChannel, channel_id)
    if found is None or found.user_id != user_id:
        raise NotFound("You have no such channel.")
    return found


def by_id(db: Session, channel_id: str) -> NotificationChannel:
    """A channel, for who holds its signed link.

    Raises:
        NotFound: it was removed.
    """
    found = db.get(NotificationChannel, channel_id)
    if found is None:
        raise NotFound("This link leads nowhere any more: its channel was removed.")
    return found
