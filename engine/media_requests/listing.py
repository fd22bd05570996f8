"""Requests as people see them: lists with filters, one with all that happened to it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.errors import NotFound
from engine.media_requests import availability, following
from engine.media_requests.availability import NOTHING, Availability, AvailabilityStatus, TitleIds
from engine.media_requests.transitions import event_data
from engine.paging import Page
from models.media_request import MediaRequest, RequestComment, RequestFollower, RequestSeason
from models.user import User

Sort = Literal["newest", "oldest", "updated", "title", "followers"]
SORTS: tuple[Sort, ...] = ("newest", "oldest", "updated", "title", "followers")
Scope = Literal["own", "followed", "both", "all"]

OPEN = ("pending", "approved", "processing")  # statuses of what has not ended
RECENT = timedelta(minutes=10)

_ORDERS: dict[Sort, tuple[ColumnElement[Any], ...]] = {
    "newest": (MediaRequest.id.desc(),),
    "oldest": (MediaRequest.id.asc(),),
    "updated": (MediaRequest.updated_at.desc(), MediaRequest.id.desc()),
    "title": (MediaRequest.folded_title.asc(), MediaRequest.id.desc()),
    "followers": (MediaRequest.followers.desc(), MediaRequest.id.desc()),
}


@dataclass(frozen=True)
class Person:
    """Somebody with their name as it is now; id None: somebody at Overseerr, or who is deleted."""

    id: str | None
    name: str


@dataclass(frozen=True)
class RequestView:
    """A request for somebody who may see it.

    Attributes:
        following: whether they follow it, without having asked. own: whether they asked for it.
    """

    request: MediaRequest
    seasons: Sequence[RequestSeason]
    following: bool
    own: bool
    requested_by: Person | None
    decided_by: Person | None
    availability: Availability


@dataclass(frozen=True)
class CommentView:
    """What somebody wrote below a request."""

    id: str
    text: str
    by: Person | None
    at: datetime


def find(
    db: Session,
    settings: Settings,
    user_id: str,
    *,
    scope: Scope,
    statuses: Collection[str] = (),
    media_type: str | None = None,
    query: str | None = None,
    requested_by: str | None = None,
    sort: Sort = "newest",
    page: int,
    limit: int,
) -> Page[RequestView]:
    """A page of requests.

    Args:
        db: a session.
        settings: with the Plex server whose catalogue is compared.
        user_id: who looks.
        scope: those that they asked for, those that they follow, both, or everybody's.
        statuses: only of these; empty: of any.
        media_type: only of this type.
        query: words of the title.
        requested_by: only of this user.
        sort: the order.
        page: from 1.
        limit: requests a page.
    """
    where = _visible(user_id, scope)
    if statuses:
        where.append(MediaRequest.status.in_(statuses))
    if media_type is not None:
        where.append(MediaRequest.media_type == media_type)
    if requested_by is not None:
        where.append(MediaRequest.user_id == requested_by)
    for word in (query or "").split():
        where.append(func.strpos(MediaRequest.folded_title, func.folded(word)) > 0)
    total = db.scalar(select(func.count()).select_from(MediaRequest).where(*where)) or 0
    some = select(MediaRequest).where(*where).order_by(*_ORDERS[sort])
    rows = db.scalars(some.offset((page - 1) * limit).limit(limit)).all()
    return Page(views(db, settings, rows, user_id), page, limit, total)


def counts(db: Session, user_id: str, scope: Scope) -> Counter[str]:
    """How many requests of each status there are."""
    query = select(MediaRequest.status, func.count()).where(*_visible(user_id, scope))
    found = Counter[str]()
    for status, number in db.execute(query.group_by(MediaRequest.status)):
        found[status] = number
    return found


def visible(db: Session, request_id: str, user_id: str) -> bool:
    """Whether a user sees a request as one who asked for it or follows it."""
    query = select(MediaRequest.id).where(MediaRequest.id == request_id, *_visible(user_id, "both"))
    return db.scalar(query) is not None


def undecided(db: Session) -> int:
    """How many requests wait for a decision."""
    return db.scalar(select(func.count()).where(MediaRequest.status == "pending")) or 0


def get(db: Session, settings: Settings, request_id: str, user_id: str, *, manages: bool) -> RequestView:
    """One request.

    Raises:
        NotFound: there is none, or it is another's that they do not follow.
    """
    where = [] if manages else _visible(user_id, "both")
    row = db.scalars(select(MediaRequest).where(MediaRequest.id == request_id, *where)).one_or_none()
    if row is None:
        raise NotFound("There is no such request.")
    return views(db, settings, [row], user_id)[0]


def views(db: Session, settings: Settings, rows: Sequence[MediaRequest], user_id: str) -> list[RequestView]:
    """Requests with all that is shown of them, in a few statements for all together."""
    if not rows:
        return []
    ids = [row.id for row in rows]
    titles = [
        TitleIds(row.media_type, row.tmdb_id, row.imdb_id, row.tvdb_id)
        for row in rows
        if row.tmdb_id is not None
    ]
    there = availability.of(db, settings, titles)
    followed = following.followed_by(db, user_id, ids)
    people = _people(db, {who for row in rows for who in (row.user_id, row.decided_by) if who is not None})
    seasons = seasons_of(db, ids)
    return [
        RequestView(
            request=row,
            seasons=seasons[row.id],
            following=row.id in followed and row.user_id != user_id,
            own=row.user_id == user_id,
            requested_by=people.get(row.user_id or "") or _stranger(row.requested_by_name),
            decided_by=people.get(row.decided_by or ""),
            availability=_of_video(row)
            if row.media_type == "video"
            else there.get((row.media_type, row.tmdb_id or ""), NOTHING),
        )
        for row in rows
    ]


def _of_video(row: MediaRequest) -> Availability:
    """What of a video is there, by its request alone: there is one for each."""
    status: AvailabilityStatus = "requested"
    if row.status in ("approved", "processing"):
        status = "processing"
    elif row.status in ("available", "denied"):
        status = "available" if row.status == "available" else "none"
    asked = row.status != "denied"
    return Availability(row.item_id is not None, asked, status, row.item_id, row.id if asked else None)


def seasons_of(db: Session, ids: Collection[str]) -> dict[str, list[RequestSeason]]:
    """The seasons of requests, in order."""
    found = defaultdict[str, list[RequestSeason]](list)
    query = select(RequestSeason).where(RequestSeason.request_id.in_(ids))
    for season in db.scalars(query.order_by(RequestSeason.number)):
        found[season.request_id].append(season)
    return found


def comments(db: Session, request_id: str) -> list[CommentView]:
    """What was written below a request, the oldest first."""
    query = select(RequestComment).where(RequestComment.request_id == request_id)
    rows = db.scalars(query.order_by(RequestComment.id)).all()
    people = _people(db, {row.user_id for row in rows if row.user_id is not None})
    return [CommentView(row.id, row.text, people.get(row.user_id or ""), row.created_at) for row in rows]


def snapshot(db: Session, user_id: str | None) -> list[dict[str, Any]]:
    """The requests of a socket's first frame, as event data: open ones, and those that ended in the last 10 minutes.

    Args:
        db: for reading.
        user_id: only those that this user asked for or follows; None: everybody's.

    Returns:
        The newest first, at most 500.
    """
    where = _visible(user_id or "", "all" if user_id is None else "both")
    lately = MediaRequest.updated_at > func.clock_timestamp() - RECENT
    query = select(MediaRequest, User.name).outerjoin(User, User.id == MediaRequest.decided_by)
    query = query.where(*where, or_(MediaRequest.status.in_(OPEN), lately))
    rows = db.execute(query.order_by(MediaRequest.id.desc()).limit(500)).all()
    return [event_data(request, name) for request, name in rows]


def _visible(user_id: str, scope: Scope) -> list[ColumnElement[bool]]:
    if scope == "all":
        return []
    if scope == "own":
        return [MediaRequest.user_id == user_id]
    mine: Select[str] = select(RequestFollower.request_id).where(RequestFollower.user_id == user_id)
    if scope == "followed":
        return [MediaRequest.id.in_(mine.where(~RequestFollower.own))]
    return [MediaRequest.id.in_(mine)]  # who asked is among them


def _people(db: Session, ids: Collection[str]) -> dict[str, Person]:
    if not ids:
        return {}
    query = select(User.id, User.name).where(User.id.in_(ids), User.deleted_at.is_(None))
    return {row.id: Person(row.id, row.name) for row in db.execute(query)}


def _stranger(name: str | None) -> Person | None:
    return None if name is None else Person(None, name)
