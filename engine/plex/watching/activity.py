"""What people did in Plex: each thing once, with the person and the title where we know them."""

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
from engine.stores import locks
from models.base import new_id
from models.media import MediaItem
from models.plex_activity import PlexActivity
from models.user import User

EVENTS = ("play", "pause", "resume", "stop", "scrobble", "rate")

# Plex tells the same thing twice where both its viewer and the server's owner have entered our address: within a second
# or two. Nobody plays, pauses or rates one title twice within half a minute in a way that matters to anybody.
SAME_WITHIN = timedelta(seconds=30)

_OWNER = "1"  # what a server calls the account of its owner, whatever plex.tv does


@dataclass(frozen=True, kw_only=True)
class PlaybackEvent:
    """One thing that was told of.

    Attributes:
        event: one of `EVENTS`.
        server_id: machine identifier of the server, where it is told.
        title: in words.
        view_offset, duration: milliseconds.
        at: when we heard of it: Plex does not say when it was.
        webhook_id: the message.
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
    """What became of it: whether it is a new activity, and whose and of which item it is, where we know."""

    new: bool
    user_id: str | None
    item_id: str | None


def record(db: Session, seen: PlaybackEvent) -> Recorded:
    """Write down one thing, once, and what it means for how far its person is with its title.

    The same person, title and event within half a minute are one activity; so is the same message, however often it
    comes. A later message never loses against an earlier one that is worked on after it.
    """
    what = f"{seen.server_id}:{seen.account_id or seen.account_name}:{seen.rating_key}:{seen.event}"
    locks.hold(db, locks.hashed(locks.Hashed.PLEX_ACTIVITY, what))
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
    """A page of activities, newest first: of one person, or of all with None."""
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


def _known(seen: PlaybackEvent) -> Select[str]:
    """The activity that this one is, told again; a rating counts as another where it differs."""
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


def _insert(db: Session, seen: PlaybackEvent, user_id: str | None, item_id: str | None) -> bool:
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


def _tell(db: Session, seen: PlaybackEvent, user_id: str | None, item_id: str | None) -> None:
    """The event `plex:activity`, for its person and for admins; for these alone where he is none of ours."""
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


def _go_on(db: Session, seen: PlaybackEvent, user_id: str, item_id: str, *, new: bool) -> None:
    """Watch state: a view is counted once; a place and a rating are the same however often they are set."""
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


def _user_of(db: Session, seen: PlaybackEvent) -> str | None:
    """Our user behind an account of Plex: by the id at plex.tv; whom a server calls 1 is its owner, by any name."""
    if seen.account_id not in {None, _OWNER}:
        return db.scalar(select(User.id).where(User.plex_id == seen.account_id))
    if seen.account_id == _OWNER and (owner := _owner_of(db, seen.server_id)) is not None:
        return owner
    if not seen.account_name:
        return None
    named = func.lower(User.plex_username) == seen.account_name.lower()
    mine = [named, User.plex_id.is_not(None)]
    if seen.account_id == _OWNER:
        # Where plex.tv has not said yet whose the server is: of whom it has not said anything, who is called so.
        mine.append(User.plex_server_id.is_distinct_from(seen.server_id) | User.plex_owner.is_(None))
    found = db.scalars(select(User.id).where(*mine).limit(2)).all()
    return found[0] if len(found) == 1 else None


def _owner_of(db: Session, server_id: str | None) -> str | None:
    """Our user whose that server is; without its id, whose any server is, where that is one person."""
    owners = select(User.id).where(User.plex_id.is_not(None), User.plex_owner.is_(True))
    if server_id is not None:
        owners = owners.where(User.plex_server_id == server_id)
    found = db.scalars(owners.limit(2)).all()
    return found[0] if len(found) == 1 else None


def _item_of(db: Session, seen: PlaybackEvent) -> str | None:
    if seen.rating_key is None:
        return None
    query = select(MediaItem.id).where(
        MediaItem.rating_key == seen.rating_key, MediaItem.deleted_at.is_(None)
    )
    if seen.server_id is not None:
        query = query.where(MediaItem.server_id == seen.server_id)
    found = db.scalars(query.limit(2)).all()
    return found[0] if len(found) == 1 else None
