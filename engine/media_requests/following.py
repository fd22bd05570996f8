"""Who follows a request: they see it, and are told of what becomes of it."""

from __future__ import annotations

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from engine.errors import Conflict, NotFound
from models.media_request import MediaRequest, RequestFollower


def follow(db: Session, request_id: str, user_id: str) -> bool:
    """Have a user follow a request; returns whether they did not before.

    Raises:
        NotFound: there is no such request.
    """
    if db.scalar(select(MediaRequest.id).where(MediaRequest.id == request_id)) is None:
        raise NotFound("There is no such request.")
    return add(db, request_id, user_id, own=False)


def add(db: Session, request_id: str, user_id: str, *, own: bool) -> bool:
    """Add a follower of a request that exists; `own`: who asked, who is not counted."""
    row = insert(RequestFollower).values(request_id=request_id, user_id=user_id, own=own)
    added = db.execute(row.on_conflict_do_nothing().returning(RequestFollower.user_id)).one_or_none()
    if added is not None and not own:
        _count(db, request_id, 1)
    return added is not None


def unfollow(db: Session, request_id: str, user_id: str) -> None:
    """Have a user follow a request no more.

    Raises:
        NotFound: they do not follow it.
        Conflict: they asked for it; they may take it back instead.
    """
    row = db.get(RequestFollower, (request_id, user_id), with_for_update=True)
    if row is None:
        raise NotFound("There is no such request.")
    if row.own:
        raise Conflict("Who asked for something follows it: take the request back instead.")
    db.execute(
        delete(RequestFollower).where(
            RequestFollower.request_id == request_id, RequestFollower.user_id == user_id
        )
    )
    _count(db, request_id, -1)


def followed_by(db: Session, user_id: str, request_ids: list[str]) -> set[str]:
    """Which of some requests a user follows, or asked for."""
    query = select(RequestFollower.request_id).where(
        RequestFollower.user_id == user_id, RequestFollower.request_id.in_(request_ids)
    )
    return set(db.scalars(query))


def _count(db: Session, request_id: str, change: int) -> None:
    db.execute(
        update(MediaRequest)
        .where(MediaRequest.id == request_id)
        .values(followers=func.greatest(MediaRequest.followers + change, 0)),
        execution_options={"synchronize_session": False},
    )
