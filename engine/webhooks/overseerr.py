"""Handles webhooks of Overseerr and Seerr: each only says that something changed, whatever its edited template holds.

What changed is read from Overseerr itself, and what is available from Plex.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from config.settings import Settings
from engine.job_names import Job
from engine.jobs.bell import enqueue
from engine.notifications.recipients import notify_holders
from engine.permissions import Permission
from engine.plex.server import connection
from engine.plex.sync import runs as sync
from engine.webhooks.meaning import WebhookOutcome
from models.webhook import Webhook

_OF_REQUESTS = {
    "MEDIA_PENDING",
    "MEDIA_APPROVED",
    "MEDIA_AUTO_APPROVED",
    "MEDIA_AUTO_REQUESTED",
    "MEDIA_AVAILABLE",
    "MEDIA_DECLINED",
    "MEDIA_FAILED",
}
_OF_ISSUES = {"ISSUE_CREATED": "reported", "ISSUE_REOPENED": "reported again"}


def handle(db: Session, settings: Settings, row: Webhook) -> WebhookOutcome:
    """Handle a message: have requests compared, and Plex looked at where something is said to be available."""
    if row.event == "TEST_NOTIFICATION":
        return WebhookOutcome("A test: it arrived.")
    if row.event in _OF_ISSUES:
        return _issue(db, row)
    if row.event not in _OF_REQUESTS:
        return WebhookOutcome("This event means nothing to us.", ignored=True)
    enqueue(db, Job.COMPARE_UPSTREAM)
    if row.event == "MEDIA_AVAILABLE" and connection.configured(db, settings) is not None:
        run, _ = sync.start(db, full=False, trigger="webhook")
        return WebhookOutcome(f"Requests are compared with Overseerr's, and Plex is looked at by {run.id}.")
    return WebhookOutcome("Requests are compared with Overseerr's.")


def _issue(db: Session, row: Webhook) -> WebhookOutcome:
    subject = row.payload.get("subject")
    title = subject.strip()[:200] if isinstance(subject, str) and "{{" not in subject else "something"
    told = notify_holders(
        db,
        Permission.REQUESTS_MANAGE,
        type="overseerr.issue",
        title="A problem at Overseerr",
        message=f"A problem with “{title}” was {_OF_ISSUES[row.event]} in Overseerr.",
        subject=("webhook", row.id),
        dedupe_key=f"webhook:{row.id}",
    )
    return WebhookOutcome(f"Told {told}.")
