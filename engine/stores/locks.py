"""All advisory locks of PostgreSQL that the product takes, so that no two purposes share one.

Their values stay: processes of the version before and after an update wait for each other. `models.migrate` has
7240411 to itself, since it stands below the engine.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session


class Lock(IntEnum):
    """Locks of which the whole installation has one."""

    SUPER_ADMINS = 7_240_412
    SYNC_RUNS = 7_240_413
    PUSH_LISTENER = 7_240_414
    ARRIVAL_SCANS = 7_240_416
    AVAILABILITY = 7_240_417


class Named(StrEnum):
    """Locks by a hashed name of 32 bits; the value is what stands before the name of the one that is meant."""

    JOB_KIND = ""
    PREVIEWS_OF_USER = "previews of "
    INVITATION_TO = "invitation:"
    PLEX_ACCOUNT = "plex account "
    DOWNLOADS_OF_USER = "downloads of "
    MAKING_ROOM = "downloads that make room"


class Hashed(IntEnum):
    """Locks by a hashed text of 64 bits; the value is the seed, so that the same text gives each purpose its own."""

    WEBHOOK = 0
    PLEX_ACTIVITY = 1
    REQUESTED_TITLE = 2
    REQUESTS_OF_USER = 3
    NOTIFICATION_GROUP = 4
    CHANNELS_OF_USER = 5


Key = Lock | ColumnElement[int]


def named(purpose: Named, name: str = "") -> ColumnElement[int]:
    """The key of one of the `Named` locks."""
    return func.hashtext(purpose + name)


def hashed(purpose: Hashed, text: str) -> ColumnElement[int]:
    """The key of one of the `Hashed` locks."""
    return func.hashtextextended(text, int(purpose))


def hold(db: Session, key: Key) -> None:
    """Wait for a lock and keep it until the transaction ends."""
    db.execute(select(func.pg_advisory_xact_lock(key)))


def try_hold(db: Session, key: Key) -> bool:
    """Take a lock until the transaction ends; False where another holds it."""
    return bool(db.scalar(select(func.pg_try_advisory_xact_lock(key))))
