"""`/admin/deliveries`: messages to people's channels, what became of them, and sending one again."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.pages.notifications.words import CHANNELS, EVENTS, STATES
from api.wire.fields import Choice, PageQuery, Text
from engine.accounts import users
from engine.notifications import deliveries, kinds
from engine.permissions import Permission

pages = PageBlueprint("admin.deliveries")


class DeliveriesFilter(PageQuery):
    """Which messages: those that fit all that is given."""

    status = Choice(deliveries.STATUSES)
    kind = Choice(list(CHANNELS))
    user = Text(80)


@pages.page("/admin/deliveries", Permission.OPERATIONS_VIEW, query=DeliveriesFilter)
def deliveries_page(visit: Visit, query: dict[str, Any]) -> Response:
    """All messages, the newest first."""
    wanted = {"status": None, "kind": None, "user": None, **query}
    wanted["user_id"] = wanted.pop("user")
    found = deliveries.listing(visit.db, **wanted)
    failed = deliveries.listing(visit.db, status="failed", user_id=None, kind=None, page=1, limit=1).total
    return visit.show(
        "admin/deliveries.html",
        here="admin",
        found=found,
        failed=failed,
        query=query,
        names=users.names(visit.db, {row.user_id for row in found.items if row.user_id is not None}),
        states=STATES,
        about=_about,
        statuses=[("", _("all states")), *((name, _(words)) for name, (_kind, words) in STATES.items())],
        channels=[("", _("all channels")), *((name, _(words)) for name, words in CHANNELS.items())],
    )


@pages.form("/admin/deliveries/<id:delivery_id>/retry", Permission.OPERATIONS_VIEW, back="admin/deliveries")
def send_again(visit: Visit, delivery_id: str) -> Response:
    """Send one again that failed."""
    deliveries.retry(visit.db, delivery_id, visit.actor)
    return visit.go(visit.back("admin/deliveries"), _("It is sent again."))


def _about(type_: str) -> str:
    if type_ == deliveries.TEST:
        return _("A test")
    name = kinds.preferred(type_)
    return type_ if name is None else _(EVENTS[name])
