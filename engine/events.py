"""Typed events: their data, their readers, and their encoding on Redis pub/sub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy.orm import Session

from engine.readers import Datum
from models.base import new_id

CHANNEL_PREFIX = "medianest:events:"
CHANNEL_PATTERN = CHANNEL_PREFIX + "*"


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Attributes:
        name: such as `download:progress`, as in the API document.
        data: the fields, keys in camelCase.
        user_id: the owner; None: it has none.
        datum: the kind of data, which says who may read it.
        passing: an intermediate state that may be dropped for a slow client; final states never are.
        key: a passing event supersedes earlier ones of the same key.
    """

    name: str
    data: Mapping[str, Any]
    user_id: str | None
    datum: Datum
    passing: bool = False
    key: str | None = None
    id: str = field(default_factory=lambda: new_id("evt"))
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        """Check the addressing of an event.

        Raises:
            ValueError: the datum has owners and this event none, or the reverse; or the name is none of the datum's.
        """
        if self.datum.owned is (self.user_id is None) or not self.name.startswith(self.datum.events):
            raise ValueError(f"{self.name} of {self.user_id} is no event of the datum {self.datum.name}")

    @property
    def channel(self) -> str:
        """The Redis channel: one a user, one for all."""
        return CHANNEL_PREFIX + (self.user_id or "all")

    def encode(self) -> bytes:
        """The message on the channel: the frame for clients, and the fields that the relay filters by."""
        return orjson.dumps(
            {
                "user": self.user_id,
                "datum": self.datum.name,
                "passing": self.passing,
                "key": self.key,
                "frame": frame(self.name, self.data, self.id, self.at),
            }
        )


def frame(name: str, data: Mapping[str, Any], event_id: str, at: datetime) -> dict[str, Any]:
    """What a client receives."""
    return {"event": name, "data": data, "id": event_id, "at": timestamp(at)}


def timestamp(at: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, ending in `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def publish(db: Session, event: Event) -> None:
    """Publish after the unit's commit; nothing is published when it rolls back."""
    db.info.setdefault("events", []).append(event)
