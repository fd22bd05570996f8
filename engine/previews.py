"""Previews: what a URL holds, found out by a worker and reused for a few minutes."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine import source_urls
from engine.errors import NotFound
from engine.jobs.bell import correlation_id, enqueue
from engine.jobs.names import Job
from models.base import new_id
from models.download import Preview

_now = func.clock_timestamp


def request(db: Session, settings: Settings, *, user_id: str, url: str) -> Preview:
    """Ask what a URL holds: a fresh or present answer to the same URL is shared, else a worker is asked.

    Raises:
        ValidationFailed: as for a download.
    """
    source = source_urls.accept(url, settings)
    key = hashlib.sha256(source.normal.encode()).hexdigest()
    fresh = _now() - timedelta(seconds=settings.preview_cache_seconds)
    waiting = _now() - timedelta(seconds=settings.preview_seconds)
    known = db.scalars(
        select(Preview)
        .where(Preview.url_key == key)
        .where(
            or_(
                (Preview.status == "completed") & (Preview.ended_at > fresh),
                Preview.ended_at.is_(None) & (Preview.created_at > waiting),
            )
        )
        .order_by(Preview.id.desc())
        .limit(1)
    ).one_or_none()
    if known is not None:
        return known
    row = Preview(
        id=new_id("prv"),
        status="queued",
        user_id=user_id,
        url=source.normal,  # the row is shared: nobody reads what another has typed
        url_key=key,
        correlation_id=correlation_id(),
    )
    db.add(row)
    db.flush()
    enqueue(db, Job.PREVIEW)
    return row


def get(db: Session, preview_id: str) -> Preview:
    """One preview.

    Raises:
        NotFound: there is none.
    """
    row = db.get(Preview, preview_id)
    if row is None:
        raise NotFound("There is no such preview.")
    return row


def forget_old(db: Session, age: timedelta) -> None:
    """Drop previews older than `age`."""
    db.execute(delete(Preview).where(Preview.created_at < _now() - age))
