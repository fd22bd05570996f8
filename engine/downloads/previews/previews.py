"""Previews: what a URL holds, found out by a worker and reused for a few minutes."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.correlation import correlation_id
from engine.downloads.sources import urls as source_urls
from engine.errors import MediaNestError, NotFound
from engine.job_names import Job
from engine.jobs.bell import enqueue
from models.base import new_id
from models.download import Preview

_now = func.clock_timestamp
_SOON = 5  # seconds for `Retry-After`: most previews end within them


class TooManyPreviews(MediaNestError):
    """A user has `preview_user_limit` previews under way."""

    code, status = "RATE_LIMIT_EXCEEDED", 429

    def __init__(self) -> None:
        super().__init__(
            "You have too many previews under way: wait until one of them is there.", retry_after=_SOON
        )


def request(db: Session, settings: Settings, *, user_id: str, url: str) -> Preview:
    """Queue a preview of a URL, or share one of the same URL that is fresh or under way.

    Raises:
        ValidationFailed: as for a download.
        TooManyPreviews: the user has `preview_user_limit` of them under way.
    """
    source = source_urls.accept(url, settings)
    key = source.key
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
    _hold_place(db, settings, user_id)
    row = Preview(
        id=new_id("prv"),
        status="queued",
        user_id=user_id,
        url=source.normal,  # not as typed: the row is shared with other users
        url_key=key,
        correlation_id=correlation_id(),
    )
    db.add(row)
    db.flush()
    enqueue(db, Job.PREVIEW)
    return row


def _hold_place(db: Session, settings: Settings, user_id: str) -> None:
    """Check the user's limit under an advisory lock, so that simultaneous requests are checked one by one."""
    db.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"previews of {user_id}"))))
    lately = Preview.created_at > _now() - timedelta(seconds=settings.preview_seconds)
    active = select(func.count()).where(Preview.user_id == user_id, Preview.ended_at.is_(None), lately)
    if (db.scalar(active) or 0) >= settings.preview_user_limit:
        raise TooManyPreviews


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
