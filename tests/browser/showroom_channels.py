"""Channels of the showroom, and messages to them: sent, failed, waiting; and the links that are in messages."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.audit import Actor
from engine.notifications import choosing, deliveries, links
from engine.notifications.choosing import ChannelWish
from engine.runtime import settings_of
from models.base import new_id
from models.delivery import Delivery, NotificationChannel
from models.media_request import MediaRequest
from models.user import User

_REFUSED = {
    "kind": "refused",
    "message": "The service does not take messages by this address (status 404).",
    "advice": "Set it up anew: the address, a token in it, or what it points to is not valid any more.",
    "retryable": False,
}


def fill_channels(db: Session, people: Mapping[str, User]) -> None:
    """A mailbox that works, and a phone that does not, of the user and of the super admin."""
    now = func.clock_timestamp()
    for role in ("user", "super_admin"):
        user, actor = people[role], Actor(people[role].id)
        for name, kind, url in (
            ("Mail", "email", None),
            ("My phone", "apprise", "ntfys://ntfy.example.org/nest"),
        ):
            wish = ChannelWish(None, "email" if kind == "email" else "apprise", name, url, enabled=True)
            channel = choosing.add(db, settings_of(db), user.id, actor, wish)
            to = deliveries.to_channel(channel)
            sent = {"status": "completed", "attempt": 1, "ended_at": now}
            db.add(Delivery(id=new_id("dlv"), type="request.available", **to, **sent))
            if kind == "apprise":
                failed = {**sent, "status": "failed", "error": _REFUSED}
                db.add(Delivery(id=new_id("dlv"), type="request.approved", **to, **failed))
                channel.error = _REFUSED["message"]
        db.flush()
        db.add(Delivery(id=new_id("dlv"), type="download.failed", status="queued", **to))


def message_link(db: Session, settings: Settings, rule: str) -> str:
    """The token of a link of a message that leads to the page of a rule."""
    if rule.startswith("/unsubscribe"):
        channel = select(NotificationChannel.id).order_by(NotificationChannel.id).limit(1)
        return links.unsubscribe_token(settings, db.scalars(channel).one())
    boss = db.scalars(select(User.id).where(User.role == "super_admin").limit(1)).one()
    asked = select(MediaRequest.id).where(MediaRequest.status == "pending").limit(1)
    return links.make(db, boss, links.DECIDE, db.scalars(asked).one())
