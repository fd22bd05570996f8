"""Typed events: what happened, who may see it, and how it travels over Redis pub/sub."""

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
        user_id: whose it is; None: nobody's.
        datum: what it tells of, which says who may read it.
        passing: an intermediate state that a slow client may miss; a final state never is.
        key: what a passing event supersedes: the newest of a key stands for the ones before.
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
        """Refuse what would reach others than it is meant for.

        Raises:
            ValueError: the datum has owners and this is nobody's, or the reverse; or the name is not one of its own.
        """
        if self.datum.owned is (self.user_id is None) or not self.name.startswith(self.datum.events):
            raise ValueError(f"{self.name} of {self.user_id} is no event of the datum {self.datum.name}")

    @property
    def channel(self) -> str:
        """The Redis channel: one a user, one for all."""
        return CHANNEL_PREFIX + (self.user_id or "all")

    def encode(self) -> bytes:
        """The message on the channel: the frame as clients get it, and what the relay needs to know of it."""
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
