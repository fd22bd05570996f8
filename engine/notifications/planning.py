"""Which messages a notification causes, and when: deliveries, written in the unit of what happened."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from engine.notifications import deliveries, grouping, kinds
from engine.notifications.preferences import Preferences
from engine.runtime import settings_of
from models.delivery import DeliveredNotification, Delivery, NotificationChannel
from models.notification import Notification

_now = func.clock_timestamp
_SAME_MOMENT = timedelta(seconds=1)


def plan(db: Session, chosen: Preferences, row: Notification) -> None:
    """Plan the messages of a notification that was made or changed: one a channel, at once or when it may be sent.

    What waits for the same channel at the time goes with it. So a group is one message, and so is a digest.
    """
    channels = chosen.channels_for(row.type)
    if channels:
        now = db.scalars(select(_now())).one()
        at = chosen.due(row.type, now, settings_of(db).notify_digest_hour)
        if row.group_key is not None:
            at = max(at, row.created_at + grouping.window(db))
        for channel in channels:
            _plan_for(db, chosen, channel, row, at if at > now else None)
    if kinds.concerns_admins(row.type):
        _plan_for_installation(db, row)


def target_of(url: str) -> str:
    """The digest by which a delivery names one of `NOTIFY_URLS`, so that no row holds its secret."""
    return hashlib.sha256(url.encode()).hexdigest()[:32]


def _plan_for(
    db: Session, chosen: Preferences, channel: NotificationChannel, row: Notification, at: datetime | None
) -> None:
    if at is not None:
        # Whoever plans for this channel meanwhile waits, and finds the message that this one makes.
        query = select(NotificationChannel.id).where(NotificationChannel.id == channel.id)
        db.execute(query.with_for_update(key_share=True))
        waiting = _waiting(db, channel.id, at)
        if waiting is not None:
            _attach(db, waiting, row)
            return
    digest = chosen.digest == "daily" and at is not None
    to = deliveries.to_channel(channel)
    _attach(db, deliveries.add(db, row.type, at, correlation_id=row.correlation_id, digest=digest, **to), row)


def _waiting(db: Session, channel_id: str, at: datetime) -> str | None:
    """The message to a channel that waits until `at` at most, and that nobody has tried to send yet."""
    query = select(Delivery.id).where(
        Delivery.channel_id == channel_id,
        Delivery.ended_at.is_(None),
        Delivery.lease_until.is_(None),
        Delivery.attempt == 0,
        Delivery.next_run_at > _now(),
        Delivery.next_run_at <= at + _SAME_MOMENT,
    )
    return db.scalar(query.order_by(Delivery.next_run_at.desc()).limit(1).with_for_update())


def _plan_for_installation(db: Session, row: Notification) -> None:
    """One message to each of `NOTIFY_URLS`, however many admins are told the same."""
    told = row.dedupe_key or f"transaction {db.scalar(select(func.txid_current()))}"
    for url in settings_of(db).notify_urls:
        target = target_of(url)
        added = deliveries.add(
            db,
            row.type,
            None,
            correlation_id=row.correlation_id,
            kind=deliveries.INSTALLATION,
            shown=f"{url.partition('://')[0]}://",
            target=target,
            dedupe_key=f"{target}:{row.type}:{told}",
        )
        _attach(db, added, row)


def _attach(db: Session, delivery_id: str | None, row: Notification) -> None:
    if delivery_id is not None:
        query = insert(DeliveredNotification).values(delivery_id=delivery_id, notification_id=row.id)
        db.execute(query.on_conflict_do_nothing())
