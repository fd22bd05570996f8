"""`/admin/audit`: who did what, when, from where."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any, get_args

import marshmallow as ma
from flask import Response

from api.pages.admin import audit_words
from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.pages.look.words import marked
from api.wire.fields import Choice, Count, PageQuery, Text
from engine import audit
from engine.accounts import user_list
from engine.permissions import Permission

pages = PageBlueprint("admin.audit")

_OUTCOMES = {  # by outcome: the kind of status, and its word
    "success": ("done", marked("Done")),
    "failure": ("failed", marked("Failed")),
    "denied": ("denied", marked("Refused")),
}
_MOST_PEOPLE = 100  # in the filter


class AuditFilter(PageQuery):
    """Which entries: those that fit all that is given."""

    actor = Text(100)
    action = Text(100)
    outcome = Choice(get_args(audit.Outcome))
    since = ma.fields.Date(data_key="from")
    until = ma.fields.Date(data_key="to")
    limit = Count(1, 100, load_default=50)


@pages.page("/admin/audit", Permission.USERS_MANAGE, query=AuditFilter)
def audit_page(visit: Visit, query: dict[str, Any]) -> Response:
    """The audit log, the newest first."""
    since, until = query.get("since"), query.get("until")
    found = audit.listing(
        visit.db,
        page=query["page"],
        limit=query["limit"],
        filters={
            "actor_id": query.get("actor"),
            "action": query.get("action"),
            "outcome": query.get("outcome"),
        },
        since=None if since is None else datetime.combine(since, time(), UTC),
        until=None if until is None else datetime.combine(until, time(), UTC) + timedelta(days=1),
    )
    people = user_list.listing(visit.db, page=1, limit=_MOST_PEOPLE, sort="name:asc").items
    return visit.show(
        "admin/audit.html",
        here="admin",
        found=found,
        query=query,
        outcomes=_OUTCOMES,
        told=audit_words.told,
        actions=[("", _("everything")), *((begin, _(words)) for begin, words in audit_words.KINDS.items())],
        people=[("", _("everybody")), *((user.id, user.name) for user in people)],
    )
