"""Notifications of the same thing that follow each other within minutes, as one row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine.notifications import words
from engine.runtime import settings_of
from engine.stores import locks
from engine.stores.locks import Hashed
from models.notification import Notification

Insert = Callable[[Session, str, str | None, Mapping[str, Any]], Notification | None]

_now = func.clock_timestamp


def window(db: Session) -> timedelta:
    """How long a group stays open, from its first notification on."""
    return timedelta(seconds=settings_of(db).notify_group_seconds)


def added(
    db: Session,
    user_id: str,
    group: str,
    dedupe_key: str | None,
    values: Mapping[str, Any],
    *,
    insert: Insert,
) -> Notification | None:
    """Add to the open group of a user and type, or begin one; None where the same was added before, however long ago.

    Notifications of a group wait for each other, so that none is lost or counted twice.

    Args:
        db: the unit of work.
        user_id: who is told.
        group: what they have in common.
        dedupe_key: of the one that is added.
        values: columns of the one that is added.
        insert: makes the first row of a group.
    """
    locks.hold(db, locks.hashed(Hashed.NOTIFICATION_GROUP, f"{user_id}:{values['type']}:{group}"))
    details = values["details"] or {}
    member = {"key": dedupe_key, "title": details.get("title") or values["title"]}
    ours = (
        Notification.user_id == user_id,
        Notification.group_key == group,
        Notification.type == values["type"],
    )
    if dedupe_key is not None and _is_known(db, ours, dedupe_key):
        return None
    query = select(Notification).where(*ours, Notification.created_at > _now() - window(db))
    row = db.scalars(query.order_by(Notification.id.desc()).limit(1).with_for_update()).one_or_none()
    if row is None:
        first = {**values, "group_key": group, "details": {**details, "members": [member]}}
        return insert(db, user_id, dedupe_key, first)
    _join(row, values, details, member)
    db.flush()
    db.refresh(row)
    return row


def _is_known(db: Session, ours: tuple[Any, ...], dedupe_key: str) -> bool:
    members = Notification.details["members"]
    return (
        db.scalar(select(Notification.id).where(*ours, members.contains([{"key": dedupe_key}])).limit(1))
        is not None
    )


def _join(
    row: Notification, values: Mapping[str, Any], details: Mapping[str, Any], member: Mapping[str, Any]
) -> None:
    """Make the row stand for one more: counted, unread again, its words made anew."""
    members = [*(row.details or {}).get("members", ()), member]
    row.details = {**details, "members": members}
    row.count = row.count + 1
    row.title, row.message = values["title"], values["message"]
    if names := words.different_names(row.details):
        row.title, row.message = words.of_several(row.type, row.count, names)
    if row.subject_id != values["subject_id"]:
        row.subject_id = None
    row.read_at = None
