"""Messages on their way to channels, each a job; as admins see them, and sent again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from engine import audit
from engine.audit import Actor, Subject
from engine.correlation import correlation_id
from engine.errors import Conflict, NotFound
from engine.job_names import Job
from engine.jobs.bell import enqueue
from engine.jobs.kinds import forget_marks
from engine.paging import Page
from models.base import new_id
from models.delivery import DeliveredNotification, Delivery, NotificationChannel
from models.notification import Notification

QUEUED = "queued"
STATUSES = (QUEUED, "sending", "completed", "failed", "cancelled")
TEST = "test"
INSTALLATION = "installation"  # the kind of deliveries to `NOTIFY_URLS`

_now = func.clock_timestamp


def test(db: Session, channel: NotificationChannel) -> Delivery:
    """A message that says that the channel works, at once."""
    return db.get_one(Delivery, add(db, TEST, None, **to_channel(channel)))


def listing(
    db: Session, *, status: str | None, user_id: str | None, kind: str | None, page: int, limit: int
) -> Page[Delivery]:
    """A page of deliveries, newest first."""
    query = select(Delivery)
    for column, value in ((Delivery.status, status), (Delivery.user_id, user_id), (Delivery.kind, kind)):
        if value is not None:
            query = query.where(column == value)
    total = db.scalar(select(func.count()).select_from(query.subquery())) or 0
    rows = db.scalars(query.order_by(Delivery.id.desc()).offset((page - 1) * limit).limit(limit)).all()
    return Page(rows, page, limit, total)


def retry(db: Session, delivery_id: str, actor: Actor) -> Delivery:
    """Send one again that failed.

    Raises:
        NotFound: there is none.
        Conflict: it has not failed, its channel is gone, or the mail server may have it.
    """
    row = db.scalars(select(Delivery).where(Delivery.id == delivery_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound("There is no such delivery.")
    if row.status != "failed":
        raise Conflict(f"Only a delivery that failed can be sent again; this one is {row.status}.")
    if row.channel_id is None and row.kind != INSTALLATION:
        raise Conflict("Its channel was removed.")
    if row.handed_over_at is not None:
        raise Conflict(
            "The mail server may have taken it: it is not sent again, so that it does not arrive twice."
        )
    row.status, row.attempt, row.crash_count = QUEUED, 0, 0
    row.ended_at = row.error = row.started_at = None
    row.lease_owner = forget_marks(row.lease_owner)
    row.next_run_at = _now()
    db.flush()
    db.refresh(row)
    enqueue(db, Job.DELIVER)
    audit.record(db, "delivery.retried", actor, Subject("delivery", row.id, row.shown))
    return row


def notifications_of(db: Session, delivery_id: str) -> Sequence[Notification]:
    """What a delivery tells of, the oldest first."""
    query = (
        select(Notification)
        .join(DeliveredNotification, DeliveredNotification.notification_id == Notification.id)
        .where(DeliveredNotification.delivery_id == delivery_id)
    )
    return db.scalars(query.order_by(Notification.id)).all()


def forget_old(db: Session, age: timedelta) -> None:
    """Drop deliveries that ended longer than `age` ago."""
    db.execute(delete(Delivery).where(Delivery.ended_at < _now() - age))


def add(db: Session, type_: str, due: datetime | None, **values: Any) -> str | None:
    """Add a delivery, and ring for it where it need not wait; returns its id, None where there is one with its key.

    Args:
        db: the unit of work of what happened.
        type_: of the notification, or `TEST`.
        due: when it may be sent; None: now.
        values: further columns.
    """
    query = insert(Delivery).values(
        id=new_id("dlv"),
        status=QUEUED,
        type=type_,
        next_run_at=_now() if due is None else due,
        **{"correlation_id": correlation_id(), **values},
    )
    added = db.scalar(query.on_conflict_do_nothing(index_elements=["dedupe_key"]).returning(Delivery.id))
    if added is not None and due is None:
        enqueue(db, Job.DELIVER)
    return added


def to_channel(channel: NotificationChannel) -> dict[str, Any]:
    """The columns of a delivery that say which channel it goes to."""
    shown = channel.shown or channel.name
    return {"user_id": channel.user_id, "channel_id": channel.id, "kind": channel.kind, "shown": shown}
