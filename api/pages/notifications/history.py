"""`/notifications`: what one has been told, and what it was about."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit, local_path
from api.pages.look.words import language
from api.wire.fields import Count, Flag, Schema, Text
from engine.notifications import notifications, places, words
from engine.permissions import Permission
from models.notification import Notification

pages = PageBlueprint("notifications")

_PAGE = 30
_KINDS = {
    "available": "done",
    "completed": "done",
    "failed": "failed",
    "not_in_plex": "degraded",
    "held_back": "degraded",
}  # of status, by the last word of the type


class NotificationsPageQuery(Schema):
    """Which notifications."""

    page = Count(1, 1_000_000, load_default=1)
    unread = Flag()


class ReadForm(Schema):
    """Which one was read, where not all; and whereto it leads."""

    id = Text(80)
    go = Text(200)


@pages.page("/notifications", Permission.MEDIA_READ, query=NotificationsPageQuery)
def notifications_page(visit: Visit, query: dict[str, Any]) -> Response:
    """One's own notifications, newest first."""
    unread = True if query.get("unread") else None
    found = notifications.listing(
        visit.db, visit.identity.user_id, page=query["page"], limit=_PAGE, unread=unread
    )
    return visit.show(
        "notifications.html",
        found=found,
        only_unread=bool(unread),
        about=places.page_about,
        told=_told,
        may_choose=Permission.PROFILE_EDIT in visit.identity.permissions,
        kind=_kind,
        here="notifications",
    )


@pages.form("/notifications/read", Permission.MEDIA_READ, back="notifications")
def mark_read(visit: Visit) -> Response:
    """Mark one as read, or all; and go to what it is about."""
    form = visit.entered(ReadForm)
    chosen = form.get("id")
    notifications.mark_read(visit.db, visit.identity.user_id, None if chosen is None else [chosen])
    return visit.go(local_path(form.get("go", ""), visit.back("notifications")))


def _kind(row: Notification) -> str | None:
    return _KINDS.get(row.type.rpartition(".")[2])


def _told(row: Notification) -> tuple[str, str]:
    """Title and message in the language of the page."""
    return words.told(row, language())
