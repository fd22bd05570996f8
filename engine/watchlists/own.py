"""A user's own Plex watchlist: opting in and out, and what became of each title on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from engine import audit
from engine.audit import Actor, Subject
from engine.errors import Conflict
from engine.paging import Page
from engine.plex.server import user_tokens
from models.secret import Secret
from models.watchlist import Watchlist, WatchlistEntry

_now = func.clock_timestamp


@dataclass(frozen=True)
class OwnWatchlist:
    """Whether a user's watchlist is read, and what became of it.

    Attributes:
        enabled: they opted in.
        linked: we have their sign-in at Plex, without which it can't be read.
        read_at: when all of it was last known.
        error: why it could not be read, a sentence.
        entries: a page of what was ever on it, newest first.
    """

    enabled: bool
    linked: bool
    read_at: datetime | None
    error: str | None
    entries: Page[WatchlistEntry]


def of(db: Session, user_id: str, *, page: int = 1, limit: int = 20) -> OwnWatchlist:
    """The watchlist of a user."""
    row = db.get(Watchlist, user_id)
    mine = WatchlistEntry.user_id == user_id
    order = (WatchlistEntry.created_at.desc(), WatchlistEntry.rating_key)
    query = select(WatchlistEntry).where(mine).order_by(*order).offset((page - 1) * limit).limit(limit)
    entries: Sequence[WatchlistEntry] = db.scalars(query).all()
    total = db.scalar(select(func.count()).select_from(WatchlistEntry).where(mine)) or 0
    enabled = row is not None and row.opted_in_at is not None
    return OwnWatchlist(
        enabled=enabled,
        linked=_is_linked(db, user_id),
        read_at=row.checked_at if row is not None else None,
        error=row.error if row is not None and enabled else None,
        entries=Page(entries, page, limit, total),
    )


def switch(db: Session, user_id: str, actor: Actor, *, on: bool) -> None:
    """Opt in or out; what was asked for stays asked for, and is not asked for again after opting in again.

    Raises:
        Conflict: they have not signed in with Plex, so we could not read it.
    """
    row = db.get(Watchlist, user_id, with_for_update=True)
    if on == (row is not None and row.opted_in_at is not None):
        return
    if on and not _is_linked(db, user_id):
        raise Conflict("Sign in with Plex first: your watchlist is read with that sign-in.")
    values = {"opted_in_at": _now() if on else None, "due_at": _now(), "etag": None, "error": None}
    query = insert(Watchlist).values(user_id=user_id, **values)
    db.execute(query.on_conflict_do_update(index_elements=["user_id"], set_=values))
    db.expire_all()
    audit.record(db, "watchlist.on" if on else "watchlist.off", actor, Subject("user", user_id))


def _is_linked(db: Session, user_id: str) -> bool:
    return db.get(Secret, user_tokens.secret_name(user_id)) is not None
