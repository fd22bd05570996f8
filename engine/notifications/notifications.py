"""Notifications of users: stored as rows and sent to their sockets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from engine import events
from engine.correlation import correlation_id
from engine.errors import NotFound
from engine.events import Event
from engine.notifications import grouping, planning, preferences
from engine.paging import Page
from engine.readers import NOTIFICATION
from models.base import new_id
from models.notification import Notification

_now = func.clock_timestamp


def notify(
    db: Session,
    user_id: str,
    *,
    type: str,  # noqa: A002 - the name that clients see
    title: str,
    message: str,
    subject: tuple[str, str] | None = None,
    dedupe_key: str | None = None,
    by: str | None = None,
    group: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> Notification | None:
    """Notify a user, once; publishes `notification:new` to their sockets, and plans messages to their channels.

    One that joins its group publishes the event again, with the id of the notification that it became part of.

    Args:
        db: the unit of work of what happened.
        user_id: who is told.
        type: a word for programs, such as `security.sign_in`.
        title: a few words.
        message: a sentence or two.
        subject: kind and id of what it is about, where that is an object of ours.
        dedupe_key: a second notification of the user with the same key is none.
        by: who caused it: nobody is notified of their own action.
        group: notifications of one type with the same group that follow each other within minutes become one.
        details: what its words are made of.

    Returns:
        The row; None where nobody was told.
    """
    if by == user_id:
        return None
    kind, subject_id = subject or (None, None)
    values = {
        "type": type,
        "title": title,
        "message": message,
        "subject_kind": kind,
        "subject_id": subject_id,
        "details": None if details is None else dict(details),
        "correlation_id": correlation_id(),
    }
    if group is None:
        row = _insert(db, user_id, dedupe_key, values)
    else:
        row = grouping.added(db, user_id, group, dedupe_key, values, insert=_insert)
    if row is not None:
        chosen = preferences.of(db, user_id)
        planning.plan(db, chosen, row)
        if not chosen.listens(type):
            row.read_at = func.clock_timestamp()  # it stands in the history, and is not shown as new
        else:
            data = {**shown(row), "createdAt": events.timestamp(row.created_at)}
            events.publish(db, Event("notification:new", data, user_id, NOTIFICATION))
    return row


def _insert(
    db: Session, user_id: str, dedupe_key: str | None, values: Mapping[str, Any]
) -> Notification | None:
    query = (
        insert(Notification)
        .values(id=new_id("ntf"), user_id=user_id, dedupe_key=dedupe_key, **values)
        .on_conflict_do_nothing(index_elements=["user_id", "dedupe_key"])
        .returning(Notification)
    )
    return db.scalars(query).one_or_none()


def listing(
    db: Session, user_id: str, *, page: int, limit: int, unread: bool | None = None
) -> Page[Notification]:
    """A page of a user's notifications, newest first; `unread` chooses those that were not read, or were."""
    query = select(Notification).where(Notification.user_id == user_id)
    if unread is not None:
        query = query.where(Notification.read_at.is_(None) if unread else Notification.read_at.is_not(None))
    total = db.scalar(select(func.count()).select_from(query.subquery())) or 0
    rows = db.scalars(query.order_by(Notification.id.desc()).offset((page - 1) * limit).limit(limit)).all()
    return Page(rows, page, limit, total)


def unread_count(db: Session, user_id: str) -> int:
    """How many notifications of a user were not read yet."""
    unread = select(func.count()).where(Notification.user_id == user_id, Notification.read_at.is_(None))
    return db.scalar(unread) or 0


def mark_read(db: Session, user_id: str, ids: Sequence[str] | None) -> int:
    """Mark notifications of a user as read, all with None; returns how many were not before.

    Raises:
        NotFound: one of the ids is not theirs; nothing is changed.
    """
    mine = [Notification.user_id == user_id]
    if ids is not None:
        mine.append(Notification.id.in_(ids))
        if db.scalar(select(func.count()).select_from(Notification).where(*mine)) != len(set(ids)):
            raise NotFound("At least one of these notifications does not exist.")
    changed = db.execute(
        update(Notification)
        .where(*mine, Notification.read_at.is_(None))
        .values(read_at=_now())
        .returning(Notification.id),
        execution_options={"synchronize_session": False},
    )
    return len(changed.all())


def shown(row: Notification) -> dict[str, Any]:
    """A notification as clients see it, over HTTP and in events."""
    about = row.subject_kind and {"kind": row.subject_kind, "id": row.subject_id}
    return {
        "id": row.id,
        "type": row.type,
        "title": row.title,
        "message": row.message,
        "subject": about,
        "read": row.read_at is not None,
        "createdAt": row.created_at,
    }


def forget_old(db: Session, age: timedelta) -> None:
    """Drop notifications that are older than `age`, read or not."""
    db.execute(delete(Notification).where(Notification.created_at < _now() - age))
