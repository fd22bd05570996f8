"""Activity in Plex (play, pause, stop, scrobble, rate): each event once, with the user and the item where known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from engine import events
from engine.events import Event
from engine.paging import Page
from engine.plex.watching import progress
from engine.readers import WATCHING, WATCHING_OF_STRANGERS
from models.base import new_id
from models.media import MediaItem
from models.plex_activity import PlexActivity
from models.user import User

EVENTS = ("play", "pause", "resume", "stop", "scrobble", "rate")

# Plex sends an event twice, within a second or two, where both the viewer and the server's owner have configured our
# webhook. Repeating an action on one title within half a minute means nothing.
SAME_WITHIN = timedelta(seconds=30)

_OWNER = "1"  # the id of the owner's account on a server, whatever it is at plex.tv


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One event as received.

    Attributes:
        event: one of `EVENTS`.
        server_id: `machineIdentifier` of the server, where it is sent.
        title: as displayed.
        view_offset, duration: milliseconds.
        at: when it was received: Plex sends no time.
        webhook_id: of the message.
    """

    event: str
    server_id: str | None
    account_id: str | None
    account_name: str | None
    rating_key: str | None
    media_type: str | None
    title: str
    player: str | None
    local: bool | None
    rating: float | None
    view_offset: int | None
    duration: int | None
    at: datetime
    webhook_id: str


@dataclass(frozen=True)
class Recorded:
    """The outcome: whether the activity is new, and its user and item where known."""

    new: bool
    user_id: str | None
    item_id: str | None


def record(db: Session, seen: Seen) -> Recorded:
    """Record an event once, and update the watch state of its user and item.

    The same user, title and event within half a minute are one activity; so is a repeated message. An earlier message
    that is processed later never overwrites a newer state.
    """
    what = f"{seen.server_id}:{seen.account_id or seen.account_name}:{seen.rating_key}:{seen.event}"
    db.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(what, 1))))
    user_id, item_id = _user_of(db, seen), _item_of(db, seen)
    new = db.scalar(select(~_known(seen).exists())) is True and _insert(db, seen, user_id, item_id)
    if user_id is not None and item_id is not None:
        _go_on(db, seen, user_id, item_id, new=new)
    if new:
        _tell(db, seen, user_id, item_id)
    return Recorded(new, user_id, item_id)


def listing(
    db: Session,
    *,
    page: int,
    limit: int,
    user_id: str | None = None,
    item_id: str | None = None,
    event: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page[PlexActivity]:
    """A page of activities, newest first: of one user, or of all with None."""
    wanted: list[ColumnElement[bool]] = []
    for column, value in (
        (PlexActivity.user_id, user_id),
        (PlexActivity.item_id, item_id),
        (PlexActivity.event, event),
    ):
        if value is not None:
            wanted.append(column == value)
    if since is not None:
        wanted.append(PlexActivity.at >= since)
    if until is not None:
        wanted.append(PlexActivity.at < until)
    total = db.scalar(select(func.count()).select_from(PlexActivity).where(*wanted)) or 0
    query = select(PlexActivity).where(*wanted).order_by(PlexActivity.at.desc(), PlexActivity.id.desc())
    return Page(db.scalars(query.offset((page - 1) * limit).limit(limit)).all(), page, limit, total)


def _known(seen: Seen) -> Select[str]:
    """The recorded activity that this event repeats; a different rating is a new one."""
    row = PlexActivity
    same = [
        row.at.between(seen.at - SAME_WITHIN, seen.at + SAME_WITHIN),
        row.event == seen.event,
        row.server_id.is_not_distinct_from(seen.server_id),
        row.account_id.is_not_distinct_from(seen.account_id),
        row.rating_key.is_not_distinct_from(seen.rating_key),
    ]
    if seen.account_id is None:
        same.append(row.account_name.is_not_distinct_from(seen.account_name))
    if seen.rating_key is None:
        same.append(row.title == seen.title)
    if seen.event == "rate":
        same.append(row.rating.is_not_distinct_from(seen.rating))
    return select(row.id).where(*same)


def _insert(db: Session, seen: Seen, user_id: str | None, item_id: str | None) -> bool:
    query = insert(PlexActivity).values(
        id=new_id("act"),
        server_id=seen.server_id,
        event=seen.event,
        account_id=seen.account_id,
        account_name=seen.account_name,
        user_id=user_id,
        item_id=item_id,
        rating_key=seen.rating_key,
        media_type=seen.media_type,
        title=seen.title,
        player=seen.player,
        local=seen.local,
        rating=seen.rating,
        view_offset=seen.view_offset,
        at=seen.at,
        webhook_id=seen.webhook_id,
    )
    query = query.on_conflict_do_nothing(index_elements=["webhook_id"])
    return db.execute(query.returning(PlexActivity.id)).first() is not None


def _tell(db: Session, seen: Seen, user_id: str | None, item_id: str | None) -> None:
    """Publish `plex:activity`, to the user and to admins; to admins alone where the viewer is not one of our users."""
    data = {
        "event": seen.event,
        "userId": user_id,
        "accountName": seen.account_name,
        "itemId": item_id,
        "title": seen.title,
        "type": seen.media_type,
        "at": events.timestamp(seen.at),
    }
    datum = WATCHING_OF_STRANGERS if user_id is None else WATCHING
    events.publish(db, Event("plex:activity", data, user_id, datum))


def _go_on(db: Session, seen: Seen, user_id: str, item_id: str, *, new: bool) -> None:
    """Update the watch state: a view is counted once; position and rating are idempotent."""
    if seen.event == "scrobble":
        if new:
            progress.viewed(db, user_id, item_id, seen.at)
    elif seen.event == "rate":
        if not _rated_since(db, user_id, item_id, seen.at):
            progress.rated(db, user_id, item_id, seen.rating, seen.at)
    elif seen.view_offset is not None:
        progress.reached(db, user_id, item_id, seen.view_offset, seen.duration, seen.at)


def _rated_since(db: Session, user_id: str, item_id: str, at: datetime) -> bool:
    row = PlexActivity
    newer = [row.item_id == item_id, row.user_id == user_id, row.event == "rate", row.at > at]
    return db.scalar(select(select(row.id).where(*newer).exists())) is True


def _user_of(db: Session, seen: Seen) -> str | None:
    """The user of a Plex account: by plex.tv id; account 1 of a server is its owner, whatever its name."""
    if seen.account_id not in {None, _OWNER}:
        return db.scalar(select(User.id).where(User.plex_id == seen.account_id))
    if seen.account_id == _OWNER and (owner := _owner_of(db, seen.server_id)) is not None:
        return owner
    if not seen.account_name:
        return None
    named = func.lower(User.plex_username) == seen.account_name.lower()
    mine = [named, User.plex_id.is_not(None)]
    if seen.account_id == _OWNER:
        # While the owner is not yet known from plex.tv: the user of that name whose access is not yet known either.
        mine.append(User.plex_server_id.is_distinct_from(seen.server_id) | User.plex_owner.is_(None))
    found = db.scalars(select(User.id).where(*mine).limit(2)).all()
    return found[0] if len(found) == 1 else None


def _owner_of(db: Session, server_id: str | None) -> str | None:
    """The user who owns the server; without a server id, the owner of any server where there is only one."""
    owners = select(User.id).where(User.plex_id.is_not(None), User.plex_owner.is_(True))
    if server_id is not None:
        owners = owners.where(User.plex_server_id == server_id)
    found = db.scalars(owners.limit(2)).all()
    return found[0] if len(found) == 1 else None


def _item_of(db: Session, seen: Seen) -> str | None:
    if seen.rating_key is None:
        return None
    query = select(MediaItem.id).where(
        MediaItem.rating_key == seen.rating_key, MediaItem.deleted_at.is_(None)
    )
    if seen.server_id is not None:
        query = query.where(MediaItem.server_id == seen.server_id)
    found = db.scalars(query.limit(2)).all()
    return found[0] if len(found) == 1 else None
