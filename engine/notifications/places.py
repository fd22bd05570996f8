"""Where a notification leads: the page of what it is about."""

from __future__ import annotations

from models.notification import Notification

_PAGES_OF = {
    "download": "downloads/{id}",
    "request": "requests/{id}",
    "session": "account#sessions",
    "sync": "admin/syncs/{id}",
    "user": "admin/users/{id}",
    "webhook": "admin/webhooks/{id}",
}


def page_about(row: Notification) -> str:
    """The path of the page of what a notification is about, without a leading slash; empty where there is none."""
    if row.subject_id is None:
        return {"request": "requests", "download": "downloads"}.get(row.subject_kind or "", "")
    return _PAGES_OF.get(row.subject_kind or "", "").format(id=row.subject_id)
