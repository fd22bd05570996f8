"""How long rows are kept that nobody needs any more, and their deletion."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from config.settings import Settings
from engine import audit, paging
from engine.accounts import password_reset
from engine.downloads.previews import previews
from engine.identity import api_keys, sessions, socket_tickets
from engine.jobs.slots import forget_slots
from engine.mails import mails
from engine.media_requests import announcing
from engine.media_requests.fulfilment import work as fulfilment_work
from engine.monitoring.heartbeats import forget_dead
from engine.notifications import deliveries, links, notifications
from engine.plex.sync import schedule as sync_schedule
from engine.titles import keeping
from engine.webhooks import inbox


def forget_old(db: Session, settings: Settings) -> None:
    """Delete what has been kept for its time, and add up the parts of each total."""
    paging.compact_counts(db)
    previews.forget_old(db, timedelta(hours=1))
    forget_slots(db, timedelta(days=7))
    forget_dead(db)
    sessions.forget_old(db, timedelta(days=30))
    socket_tickets.forget_old(db)
    api_keys.forget_old(db, timedelta(days=30))
    audit.forget_old(db, timedelta(days=settings.audit_days))
    password_reset.forget_old(db, timedelta(days=1))
    mails.forget_old(db, timedelta(days=7))
    notifications.forget_old(db, timedelta(days=settings.notification_days))
    deliveries.forget_old(db, timedelta(days=settings.notification_days))
    links.forget_old(db)
    keeping.forget_old(db, timedelta(days=settings.tmdb_keep_days))
    announcing.forget_old(db, timedelta(days=7))
    fulfilment_work.forget_old(db, timedelta(days=7))
    inbox.forget_old(db, inbox.RETENTION)
    sync_schedule.forget_old(db, timedelta(days=30))
