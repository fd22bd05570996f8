"""People who are notified, their channels, and the worker that sends to them."""

from __future__ import annotations

import dataclasses
from typing import Any

from door import Door, Person, data_of
from sqlalchemy import func, select, update

from engine.jobs.runner import run_next
from engine.notifications.delivery_work import DELIVER, work
from engine.notifications.notifications import notify
from models.delivery import Delivery
from models.notification import Notification


class Post:
    """Notifies people, and works on deliveries as a worker does."""

    def __init__(self, door: Door) -> None:
        self.door, self.runtime = door, door.runtime

    def configure(self, **changes: Any) -> None:
        """Change settings of the environment."""
        live = self.runtime.live
        live.environment = live.settings = dataclasses.replace(live.environment, **changes)

    def tell(self, person: Person, title: str = "It is there", **more: Any) -> str | None:
        values = {"type": "request.available", "title": title, "message": f"{title}.", **more}
        with self.runtime.unit_of_work() as db:
            row = notify(db, person.id, **values)
            return None if row is None else row.id

    def channel(
        self, person: Person, events: tuple[str, ...] = ("request.available",), **channel: Any
    ) -> str:
        """Give a person a channel for some events; of kind email where there is no url."""
        kind = "apprise" if "url" in channel else "email"
        put = {"channels": [*self.channels(person), {"kind": kind, "name": "Mine", **channel}]}
        made = self.preferences(person, **put)["channels"][-1]["id"]
        self.preferences(person, events={name: ["socket", made] for name in events})
        return str(made)

    def channels(self, person: Person) -> list[dict[str, Any]]:
        found = data_of(person.get("/users/me/notifications"))["channels"]
        return [{name: each[name] for name in ("id", "kind", "name", "enabled")} for each in found]

    def preferences(self, person: Person, **changes: Any) -> dict[str, Any]:
        return dict(data_of(person.request("PUT", "/users/me/notifications", json=changes)))

    def send(self) -> int:
        """Send all that is due; how many attempts that took."""
        count = 0
        while run_next(self.runtime, DELIVER, work):
            count += 1
        return count

    def make_due(self) -> None:
        """Let the time pass that everything waits for."""
        with self.runtime.unit_of_work() as db:
            db.execute(update(Delivery).where(Delivery.ended_at.is_(None)).values(next_run_at=func.now()))

    def deliveries(self) -> list[Delivery]:
        with self.runtime.unit_of_work() as db:
            return list(db.scalars(select(Delivery).order_by(Delivery.id)))

    def history(self, person: Person) -> list[Notification]:
        with self.runtime.unit_of_work() as db:
            query = select(Notification).where(Notification.user_id == person.id)
            return list(db.scalars(query.order_by(Notification.id)))
