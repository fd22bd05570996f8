"""Messages to users' channels: written with the notification, due by preferences, merged while they wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

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
from engine.notifications.preferences import Preferences
from engine.paging import Page
from models.base import new_id
from models.delivery import DeliveredNotification, Delivery, NotificationChannel
from models.notification import Notification

STATUSES = ("queued", "sending", "completed", "failed", "cancelled")
TEST = "test"

_now = func.clock_timestamp


def queue(db: Session, row: Notification, chosen: Preferences, wait: timedelta) -> None:
    """Have a user's channels told of a notification, each by one message with what else waits for the same time."""
    for channel in chosen.channels_for(row.type):
        due = chosen.due(datetime.now(UTC), wait)
        waits = due > datetime.now(UTC)
        delivery = _waiting(db, channel) if waits else None
        if delivery is None:
            delivery = _add(db, channel, row.type, due, digest=chosen.digest == "daily")
        told = insert(DeliveredNotification).values(delivery_id=delivery.id, notification_id=row.id)
        db.execute(told.on_conflict_do_nothing())


def test(db: Session, channel: NotificationChannel) -> Delivery:
    """A message that says that the channel works, at once."""
    return _add(db, channel, TEST, datetime.now(UTC), digest=False)


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
    if row.channel_id is None:
        raise Conflict("Its channel was removed.")
    if row.handed_over_at is not None:
        raise Conflict(
            "The mail server may have taken it: it is not sent again, so that it does not arrive twice."
        )
    row.status, row.attempt, row.crash_count = "queued", 0, 0
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


def _waiting(db: Session, channel: NotificationChannel) -> Delivery | None:
    """The message to a channel that waits for its time; locked, so that nobody sends it meanwhile."""
    query = (
        select(Delivery)
        .where(
            Delivery.channel_id == channel.id,
            Delivery.ended_at.is_(None),
            Delivery.lease_until.is_(None),
            Delivery.attempt == 0,
            Delivery.next_run_at > _now(),
        )
        .order_by(Delivery.next_run_at)
        .limit(1)
    )
    return db.scalars(query.with_for_update(skip_locked=True)).one_or_none()


def _add(db: Session, channel: NotificationChannel, type_: str, due: datetime, *, digest: bool) -> Delivery:
    row = Delivery(
        id=new_id("dlv"),
        status="queued",
        user_id=channel.user_id,
        channel_id=channel.id,
        kind=channel.kind,
        shown=channel.shown or channel.name,
        type=type_,
        next_run_at=due,
        digest=digest,
        correlation_id=correlation_id(),
    )
    db.add(row)
    db.flush()
    enqueue(db, Job.DELIVER)
    return row
