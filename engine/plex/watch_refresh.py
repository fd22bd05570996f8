"""What people watched before we listened, or while we did not: asked of Plex in their own name, after they looked.

No list waits for it: whoever looks is put on a list in Redis, once in five minutes, and a worker asks plex.tv for the
token with which our server knows him, and our server what he has watched lately. Webhooks tell the rest at once. What
somebody marks as not watched in Plex is not seen here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from engine import cache, secret_box
from engine.accounts import plex_accounts
from engine.clients import plextv_access
from engine.clients.plex_library import PlexError
from engine.clients.plex_questions import PlexQuestions
from engine.clients.plextv import TokenRefused
from engine.errors import MediaNestError
from engine.jobs.names import Job
from engine.plex import connection
from engine.plex.parsing import TYPE_NUMBERS
from engine.runtime import Runtime
from models.media import MediaItem, WatchState
from models.plex_library import PlexSection
from models.secret import Secret

log = structlog.get_logger(__name__)

EVERY_SECONDS = 300
_WANTED, _ASKED = "watched:wanted", "watched:asked:"
_AT_ONCE = 20  # people a run
_OVERLAP = timedelta(days=1)
_PAGE, _MOST = 500, 20_000
_LEAVES = {"movie": "movie", "show": "episode"}


def wish(runtime: Runtime, user_id: str) -> None:
    """Have somebody's watch states refreshed soon, unless that was done in the last minutes."""
    kept = cache.of(runtime.settings)
    if kept.first(_ASKED + user_id, EVERY_SECONDS) and kept.add(_WANTED, user_id):
        runtime.ring(Job.WATCHED)


def refresh_wanted(runtime: Runtime) -> None:
    """Refresh for those who looked; what fails for one is left for the next time he looks."""
    for user_id in cache.of(runtime.settings).take(_WANTED, _AT_ONCE):
        try:
            changed = refresh(runtime, user_id)
        except (PlexError, MediaNestError, TokenRefused) as error:
            log.info("watched.not_refreshed", user=user_id, error=type(error).__name__)
        else:
            log.debug("watched.refreshed", user=user_id, changed=changed)


def refresh(runtime: Runtime, user_id: str) -> int:
    """Ask Plex what a user watched lately; returns how many of his states changed. 0 where we keep no token of his.

    Raises:
        PlexError: our server does not answer.
        MediaNestError: plex.tv does not.
        TokenRefused: plex.tv does not take his token any more.
    """
    settings = runtime.settings
    with runtime.reading() as db:
        found = connection.configured(db, settings)
        server_id = connection.server_id(db, settings)
        if found is None or server_id is None or db.get(Secret, plex_accounts.secret_name(user_id)) is None:
            return 0
        token = secret_box.take(db, settings, plex_accounts.secret_name(user_id)) or ""
        libraries = db.execute(
            select(PlexSection.key, PlexSection.type).where(
                PlexSection.server_id == server_id, PlexSection.gone_at.is_(None)
            )
        ).all()
        since = db.scalar(select(func.max(WatchState.last_viewed_at)).where(WatchState.user_id == user_id))
    access = plextv_access.server_token(settings.plex_tv_url, found.client_id, token, server_id)
    if access is None:
        return 0
    after = int((since - _OVERLAP).timestamp()) if since else 0
    changed = 0
    with PlexQuestions(found.url, access, found.client_id, verify=found.verify) as plex:
        for key, kind in libraries:
            if kind in _LEAVES:
                for entries in _watched(plex, key, TYPE_NUMBERS[_LEAVES[kind]], after):
                    with runtime.unit_of_work() as db:
                        changed += _write(db, user_id, server_id, entries)
    return changed


def _watched(plex: PlexQuestions, key: str, number: int, after: int) -> Iterator[list[Mapping[str, Any]]]:
    """What was watched in a library after a time, in parts."""
    start = 0
    while start < _MOST:
        asked = {"type": number, "lastViewedAt>>": after, "sort": "lastViewedAt:asc"}
        part = {"X-Plex-Container-Start": start, "X-Plex-Container-Size": _PAGE}
        entries, total = plex.page(f"/library/sections/{key}/all", asked | part)
        if entries:
            yield entries
        start += len(entries)
        if not entries or len(entries) > _PAGE or start >= (total or 0):
            return


def _write(db: Session, user_id: str, server_id: str, entries: list[Mapping[str, Any]]) -> int:
    by_key = {str(entry["ratingKey"]): entry for entry in entries if entry.get("ratingKey")}
    items = db.execute(
        select(MediaItem.rating_key, MediaItem.id).where(
            MediaItem.server_id == server_id,
            MediaItem.rating_key.in_(by_key),
            MediaItem.deleted_at.is_(None),
        )
    )
    values = [
        {
            "user_id": user_id,
            "item_id": item_id,
            "view_count": _number(by_key[key].get("viewCount")) or 0,
            "view_offset": _number(by_key[key].get("viewOffset")),
            "last_viewed_at": _time(by_key[key].get("lastViewedAt")),
            "updated_at": func.clock_timestamp(),
        }
        for key, item_id in items
    ]
    if not values:
        return 0
    query = insert(WatchState).values(values)
    new, names = query.excluded, ("view_count", "view_offset", "last_viewed_at")
    differs = or_(*(getattr(WatchState, name).is_distinct_from(new[name]) for name in names))
    # A webhook may have told of something later than this answer.
    newer = or_(WatchState.last_viewed_at.is_(None), WatchState.last_viewed_at <= new.last_viewed_at)
    query = query.on_conflict_do_update(
        index_elements=["user_id", "item_id"],
        set_={name: new[name] for name in (*names, "updated_at")},
        where=differs & newer,
    )
    return len(db.execute(query.returning(WatchState.item_id)).all())


def _number(value: Any) -> int | None:
    return int(value) if str(value or "").isdecimal() and int(value) else None


def _time(value: Any) -> datetime | None:
    seconds = _number(value)
    return None if seconds is None else datetime.fromtimestamp(min(seconds, 253_402_300_799), UTC)
