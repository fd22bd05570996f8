"""Which preview is claimed next: limits per worker and per user, and expiry of those that waited too long."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, false, func, select, update
from sqlalchemy.orm import Session, aliased

from config.settings import Settings
from engine.downloads.budget import busy_here
from models.download import Preview
from models.job import JobRow

_now = func.clock_timestamp
_held = Preview.lease_until.is_not(None)

_EXPIRED = {
    "kind": "expired",
    "message": "There was no place for the preview in time.",
    "advice": "Try again in a few seconds.",
    "retryable": True,
}


def limits(db: Session, settings: Settings) -> Sequence[ColumnElement[bool]]:
    """WHERE conditions for claimable rows: at most `preview_concurrency` per worker, one less per user.

    So one user's slow pages always leave a slot for the previews of others.
    """
    _expire(db, settings)
    if busy_here(db, Preview) >= settings.preview_concurrency:
        return [false()]
    share = max(1, settings.preview_concurrency - 1)
    full = select(Preview.user_id).where(_held).group_by(Preview.user_id).having(func.count() >= share)
    return [Preview.user_id.not_in(db.scalars(full).all())]


def first(db: Session, model: type[JobRow], fitting: Sequence[ColumnElement[bool]]) -> str | None:
    """The id to claim: of the user with the fewest running previews, the oldest. Few rows wait at any time."""
    other = aliased(Preview)
    running = select(func.count()).where(other.user_id == Preview.user_id, other.lease_until.is_not(None))
    query = select(Preview.id).where(*fitting).order_by(running.scalar_subquery(), Preview.id)
    return db.scalar(query.limit(1))


def _expire(db: Session, settings: Settings) -> None:
    """Fail those that waited for `preview_seconds`, when their client has stopped waiting."""
    late = Preview.created_at < _now() - timedelta(seconds=settings.preview_seconds)
    waits = (Preview.ended_at.is_(None), Preview.lease_until.is_(None))
    values = {"status": "failed", "ended_at": _now(), "error": _EXPIRED}
    db.execute(update(Preview).where(*waits, late).values(**values))
