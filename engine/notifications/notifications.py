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
from engine.notifications import deliveries, kinds, preferences
from engine.notifications.preferences import Preferences
from engine.paging import Page
from engine.readers import NOTIFICATION
from engine.stores import locks
from engine.stores.locks import Hashed
from models.base import new_id
from models.notification import Notification

GROUP_WINDOW = timedelta(minutes=5)  # notices of one group that come within it are one

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
    """Notify a user, once; publishes `notification:new` to their sockets.

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
    if group is not None:
        joined = _joined(db, user_id, type, group, dedupe_key, details or {})
        if joined is not None:
            return joined
    kind, subject_id = subject or (None, None)
    query = (
        insert(Notification)
        .values(
            id=new_id("ntf"),
            user_id=user_id,
            type=type,
            title=title,
            message=message,
            subject_kind=kind,
            subject_id=subject_id,
            dedupe_key=dedupe_key,
            group_key=group,
            details=details and dict(details),
            correlation_id=correlation_id(),
        )
        .on_conflict_do_nothing(index_elements=["user_id", "dedupe_key"])
        .returning(Notification)
    )
    row = db.scalars(query).one_or_none()
    if row is not None:
        chosen = preferences.of(db, user_id)
        _publish(db, row, chosen)
        deliveries.queue(db, row, chosen, GROUP_WINDOW if group is not None else timedelta())
    return row


def _joined(
    db: Session, user_id: str, type_: str, group: str, dedupe_key: str | None, details: Mapping[str, Any]
) -> Notification | None:
    """The notification of the same group that a new one becomes a part of; None where there is none of late.

    Its row says of which parts it was told, so that none counts twice.
    """
    locks.hold(db, locks.hashed(Hashed.NOTIFICATION_GROUP, f"{user_id}:{type_}:{group}"))
    since = _now() - GROUP_WINDOW
    mine = (Notification.user_id == user_id, Notification.type == type_, Notification.group_key == group)
    row = db.scalars(
        select(Notification)
        .where(*mine, Notification.created_at > since)
        .order_by(Notification.id.desc())
        .limit(1)
        .with_for_update()
    ).one_or_none()
    if row is None:
        return None
    before = dict(row.details or {})
    parts = list(before.get("parts") or [{"key": row.dedupe_key, "title": before.get("title")}])
    if dedupe_key is not None and dedupe_key in {part["key"] for part in parts}:
        return row
    parts.append({"key": dedupe_key, "title": details.get("title")})
    words = kinds.grouped(type_, [part["title"] or "?" for part in parts], len(parts))
    if words is None:
        return None
    row.details = {**before, "parts": parts}
    row.count, row.read_at = len(parts), None
    row.title, row.message = words
    db.flush()
    _publish(db, row, preferences.of(db, user_id))
    return row


def _publish(db: Session, row: Notification, chosen: Preferences) -> None:
    if chosen.listens(row.type):
        data = {**shown(row), "createdAt": events.timestamp(row.created_at)}
        events.publish(db, Event("notification:new", data, row.user_id, NOTIFICATION))


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
