"""`/admin/webhooks`: what other systems told us, what came of it, and handling it again."""

from __future__ import annotations

import json
from typing import Any

import marshmallow as ma
from flask import Response

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.pages.look.words import marked, ngettext
from api.wire.fields import Choice, PageQuery, Schema, Text
from engine.permissions import Permission
from engine.webhooks import inbox

pages = PageBlueprint("admin.webhooks")

STATES = {  # by status: the kind of status, and its word
    "received": ("waiting", marked("Waiting")),
    "processing": ("processing", marked("Being handled")),
    "processed": ("done", marked("Handled")),
    "ignored": ("cancelled", marked("Nothing to do")),
    "failed": ("failed", marked("Failed")),
}
_MOST = 100  # at once


class WebhooksFilter(PageQuery):
    """Which messages: those that fit all that is given."""

    source = Text(80, strip=True)
    status = Choice(inbox.STATUSES)
    event = Text(100, strip=True)


class ChosenWebhooksForm(Schema):
    """Which messages to handle again."""

    ids = ma.fields.List(Text(64), validate=ma.validate.Length(1, _MOST))


@pages.page("/admin/webhooks", Permission.WEBHOOKS_MANAGE, query=WebhooksFilter)
def webhooks_page(visit: Visit, query: dict[str, Any]) -> Response:
    """All messages, the newest first."""
    return visit.show(
        "admin/webhooks.html",
        here="admin",
        found=inbox.listing(visit.db, **query),
        failed=inbox.listing(visit.db, page=1, limit=1, status="failed").total,
        query=query,
        states=STATES,
        statuses=[("", _("all states")), *((name, _(words)) for name, (_kind, words) in STATES.items())],
    )


@pages.form("/admin/webhooks/replay", Permission.WEBHOOKS_MANAGE, back="admin/webhooks", limit="work")
def replay_webhooks(visit: Visit) -> Response:
    """Handle several again."""
    ids = visit.entered(ChosenWebhooksForm)["ids"]
    again = sum(inbox.replay(visit.db, webhook_id, visit.actor)[1] for webhook_id in ids)
    told = ngettext("One is handled again.", "%(num)d are handled again.", again) % {"num": again}
    return visit.go(visit.back("admin/webhooks"), told)


@pages.page("/admin/webhooks/<id:webhook_id>", Permission.WEBHOOKS_MANAGE)
def webhook_page(visit: Visit, webhook_id: str) -> Response:
    """One message with what it says; secrets in it were blanked before it was stored."""
    row = inbox.get(visit.db, webhook_id)
    return visit.show(
        "admin/webhook.html",
        here="admin",
        row=row,
        state=STATES[row.status],
        payload=json.dumps(row.payload, indent=2, ensure_ascii=False),
    )


@pages.form("/admin/webhooks/<id:webhook_id>/replay", Permission.WEBHOOKS_MANAGE, limit="work")
def replay_webhook(visit: Visit, webhook_id: str) -> Response:
    """Handle one again; what it has done before is not done twice."""
    row, again = inbox.replay(visit.db, webhook_id, visit.actor)
    told = _("It is handled again.") if again else _("It is still being handled.")
    return visit.go(f"admin/webhooks/{row.id}", told)
