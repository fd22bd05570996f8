"""Handles webhooks of Overseerr and Seerr: each only says that something changed, whatever its edited template holds.

What changed is read from Overseerr itself, and what is available from Plex.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from config.settings import Settings
from engine.job_names import Job
from engine.jobs.bell import enqueue
from engine.media_requests import upstream
from engine.notifications.recipients import notify_holders
from engine.permissions import Permission
from engine.plex.server import connection
from engine.plex.sync import runs as sync
from engine.runtime import Runtime
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
_LONGEST_NUMBER = 10
_OF_ISSUES = {"ISSUE_CREATED": "reported", "ISSUE_REOPENED": "reported again"}


def handle(db: Session, settings: Settings, row: Webhook) -> WebhookOutcome:
    """Handle a message: have its request compared, and Plex looked at where something is said to be available."""
    if row.event == "TEST_NOTIFICATION":
        return WebhookOutcome("A test: it arrived.")
    if row.event in _OF_ISSUES:
        return _issue(db, row)
    if row.event not in _OF_REQUESTS:
        return WebhookOutcome("This event means nothing to us.", ignored=True)
    reference = _number(row.payload.get("request"), "request_id")
    titles = _titles(row.payload.get("media"))
    then: Callable[[Runtime], object] | None = None
    if reference is not None or titles:
        words = "Its request is compared with Overseerr's."
        then = partial(upstream.look, reference=reference, titles=titles)
    else:
        words = "It names no title: all requests are compared with Overseerr's."
        enqueue(db, Job.COMPARE_UPSTREAM)
    if row.event == "MEDIA_AVAILABLE" and connection.configured(db, settings) is not None:
        run, _ = sync.start(db, full=False, trigger="webhook")
        words += f" Plex is looked at by {run.id}."
    return WebhookOutcome(words, then=then)


def _titles(media: Any) -> list[tuple[str, str]]:
    """The title that a message names; a film and a series where it does not say which."""
    tmdb_id = _number(media, "tmdbId") or _number(media, "tmdb_id")
    if tmdb_id is None:
        return []
    kind = media.get("media_type")
    return [(one, tmdb_id) for one in ("movie", "tv") if kind == one or kind not in ("movie", "tv")]


def _number(section: Any, name: str) -> str | None:
    """A number of a section, as text; None where the section or the number is missing or is something else."""
    value = section.get(name) if isinstance(section, Mapping) else None
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return text if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER else None


def _issue(db: Session, row: Webhook) -> WebhookOutcome:
    subject = row.payload.get("subject")
    plain = isinstance(subject, str) and "{{" not in subject
    title = (subject.strip()[:200] if plain else "") or "something"
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
