"""Reads the watchlists that are due, and asks for what is new on them by the rules and quotas of everybody.

A title is asked for once: its entry stays when it is taken off the list. A list with hundreds of titles is worked off
in batches, as Plex and TMDB are asked about each.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.dialects.postgresql import insert

from engine.audit import Actor
from engine.clients.foreign_json import storable
from engine.clients.plex.errors import PlexError, TokenRefused
from engine.clients.plex.paging import key_of
from engine.clients.plex.watchlist import PlexWatchlist
from engine.errors import (
    AlreadyThere,
    Forbidden,
    NotFound,
    QuotaExceeded,
    ServiceUnavailable,
    Unauthorized,
    UpstreamFailed,
    ValidationFailed,
)
from engine.installation import client_identifier
from engine.media_requests import asking
from engine.media_requests.asking import Wish
from engine.permissions import Permission, permissions_of
from engine.plex.answers.external_ids import external_ids
from engine.plex.answers.parsing import int_of, text_of
from engine.plex.server import user_tokens
from engine.runtime import Runtime
from engine.secrets import secret_box
from models.user import User
from models.watchlist import Watchlist, WatchlistEntry

log = structlog.get_logger(__name__)

EVERY = timedelta(minutes=2)  # a list is looked at
AFTER_ERROR = timedelta(minutes=10)
BATCH = 25  # titles of one list that are asked for in one go
_CLAIM = timedelta(minutes=5)  # longer than a list takes; whoever dies meanwhile leaves it for later
_SECONDS = 50.0  # of one call, as the next one comes within a minute
_TYPES = {"movie": "movie", "show": "tv"}
_LATER = timedelta(days=1)  # where nothing but time helps

_now = func.clock_timestamp


def read_due(runtime: Runtime) -> int:
    """Look at the lists that are due, the longest waiting first; returns how many."""
    until, looked = time.monotonic() + _SECONDS, 0
    while time.monotonic() < until:
        due = _claim(runtime)
        if due is None:
            break
        due.read()
        looked += 1
    return looked


@dataclass(frozen=True)
class _EntryOutcome:
    """What became of a title; `again`: when it is tried again, which `waiting` ones are."""

    name: str
    reason: str | None = None
    request_id: str | None = None
    again: timedelta | datetime | None = None
    stops: bool = False  # the others of this list would fare the same


def _claim(runtime: Runtime) -> _DueList | None:
    """Take the next list that is due: no other process takes it meanwhile."""
    with runtime.unit_of_work() as db:
        row = db.scalars(
            select(Watchlist)
            .join(User, User.id == Watchlist.user_id)
            .where(
                Watchlist.opted_in_at.is_not(None),
                Watchlist.due_at <= _now(),
                User.disabled_at.is_(None),
                User.deleted_at.is_(None),
            )
            .order_by(Watchlist.due_at)
            .limit(1)
            .with_for_update(of=Watchlist, skip_locked=True)
        ).one_or_none()
        if row is None:
            return None
        row.due_at = _now() + _CLAIM
        user = db.get_one(User, row.user_id)
        return _DueList(runtime, user.id, row.etag, Permission.MEDIA_REQUEST in permissions_of(user.role))


@dataclass(frozen=True)
class _DueList:
    """A list that is looked at now."""

    runtime: Runtime
    user_id: str
    etag: str | None
    may_ask: bool

    def read(self) -> None:
        """Read it, ask for what is new, and say when it is due again."""
        if not self.may_ask:
            return self._end("You may not ask for anything, so your watchlist is not read.", _LATER)
        try:
            with self.runtime.unit_of_work() as db:
                settings = self.runtime.settings
                token = secret_box.take(db, settings, user_tokens.secret_name(self.user_id))
                identifier = client_identifier(db)
            if token is None:
                return self._end("Sign in with Plex again: your watchlist is read with that sign-in.", _LATER)
            with PlexWatchlist(settings.plex_discover_url, identifier, token) as plex:
                found = plex.listing(self.etag)
            if found is not None:
                self._note(found.items, found.etag)
            with PlexWatchlist(settings.plex_discover_url, identifier, token) as plex:
                self._identify(plex)
            more = self._ask()
        except TokenRefused:
            return self._end(
                "Plex does not accept your sign-in any more: sign in with Plex again.", AFTER_ERROR
            )
        except (PlexError, ServiceUnavailable) as error:
            return self._end(error.message, max(AFTER_ERROR, timedelta(seconds=error.retry_after or 0)))
        return self._end(None, timedelta() if more else EVERY)

    def _end(self, error: str | None, again: timedelta) -> None:
        if error is not None:
            log.warning("watchlist.not_read", user_id=self.user_id, reason=error)
        with self.runtime.unit_of_work() as db:
            values = {"error": error, "due_at": _now() + again}
            known = {} if error is not None else {"checked_at": _now()}
            db.execute(update(Watchlist).where(Watchlist.user_id == self.user_id).values(**values, **known))

    def _note(self, items: Sequence[Mapping[str, Any]], etag: str | None) -> None:
        """Keep what is new; the tag only with it, so that nothing is missed."""
        rows = [row for item in items if (row := _row(self.user_id, item)) is not None]
        with self.runtime.unit_of_work() as db:
            mine = db.get(Watchlist, self.user_id, with_for_update=True)
            if mine is None:  # the user was deleted meanwhile
                return
            mine.etag = etag
            if rows:
                fresh = insert(WatchlistEntry).values(outcome="waiting", due_at=_now())
                db.execute(fresh.on_conflict_do_nothing(), rows)

    def _identify(self, plex: PlexWatchlist) -> None:
        """Learn the ids of what waits, a batch of it; what has none is not asked for."""
        for entry in self._waiting(WatchlistEntry.tmdb_id.is_(None)):
            known = plex.details(entry.rating_key)
            if known is None:
                self._store(entry, _EntryOutcome("unknown", "Plex does not have it any more."))
                continue
            tmdb_id = external_ids(text_of(known.get("guid")), known.get("Guid")).get("tmdb")
            if tmdb_id is None:
                self._store(entry, _EntryOutcome("unknown", "Plex does not say which title of TMDB it is."))
                continue
            with self.runtime.unit_of_work() as db:
                db.execute(update(WatchlistEntry).where(*_same(entry)).values(tmdb_id=tmdb_id))

    def _ask(self) -> bool:
        """Ask for a batch of what waits; returns whether more of it could be asked for now."""
        for entry in self._waiting(WatchlistEntry.tmdb_id.is_not(None)):
            outcome = self._asked(entry.type, entry.tmdb_id or "")
            self._store(entry, outcome)
            if outcome.stops:
                return False
        return bool(self._waiting())

    def _waiting(self, *which: ColumnElement[bool]) -> Sequence[WatchlistEntry]:
        mine = (WatchlistEntry.user_id == self.user_id, Watchlist.opted_in_at.is_not(None))
        due = (WatchlistEntry.outcome == "waiting", WatchlistEntry.due_at <= _now())
        query = select(WatchlistEntry).join(Watchlist, Watchlist.user_id == WatchlistEntry.user_id)
        order = (WatchlistEntry.due_at, WatchlistEntry.created_at, WatchlistEntry.rating_key)
        with self.runtime.reading() as db:
            return db.scalars(query.where(*mine, *due, *which).order_by(*order).limit(BATCH)).all()

    def _asked(self, media_type: str, tmdb_id: str) -> _EntryOutcome:
        actor = Actor(self.user_id, via="watchlist")
        try:
            asked = asking.ask(
                self.runtime, Wish(media_type, tmdb_id), actor, user_id=self.user_id, source="watchlist"
            )
        except AlreadyThere as error:
            return _EntryOutcome("available", error.message)
        except Forbidden as error:
            return _EntryOutcome("refused", error.message)
        except NotFound:
            return _EntryOutcome("unknown", "TMDB has no such title.")
        except QuotaExceeded as error:
            return _EntryOutcome("waiting", error.message, again=_resets(error) or _LATER)
        except ValidationFailed as error:
            return _EntryOutcome("waiting", error.message, again=_LATER)
        except (ServiceUnavailable, UpstreamFailed) as error:
            return _EntryOutcome("waiting", error.message, again=AFTER_ERROR, stops=True)
        except Unauthorized as error:
            return _EntryOutcome("waiting", error.message, again=_LATER, stops=True)
        request = asked.request
        return _EntryOutcome(
            "requested" if request.user_id == self.user_id else "followed", request_id=request.id
        )

    def _store(self, entry: WatchlistEntry, outcome: _EntryOutcome) -> None:
        again = outcome.again
        values = {
            "outcome": outcome.name,
            "reason": outcome.reason,
            "request_id": outcome.request_id,
            "due_at": _now() + again if isinstance(again, timedelta) else again,
        }
        with self.runtime.unit_of_work() as db:
            db.execute(update(WatchlistEntry).where(*_same(entry)).values(**values))


def _resets(error: QuotaExceeded) -> datetime | None:
    told = error.details["resetsAt"] if isinstance(error.details, dict) else None
    return datetime.fromisoformat(told) if isinstance(told, str) else None


def _same(entry: WatchlistEntry) -> tuple[ColumnElement[bool], ...]:
    return WatchlistEntry.user_id == entry.user_id, WatchlistEntry.rating_key == entry.rating_key


def _row(user_id: str, item: Mapping[str, Any]) -> dict[str, Any] | None:
    """The entry of an item of Plex; None for what is no film or series, or has no key."""
    media_type, key = _TYPES.get(str(item.get("type"))), key_of(item)
    if media_type is None or key is None:
        return None
    return {
        "user_id": user_id,
        "rating_key": storable(key),
        "type": media_type,
        "title": storable(text_of(item.get("title")) or key),
        "year": int_of(item.get("year")),
        "tmdb_id": external_ids(None, item.get("Guid")).get("tmdb"),
    }
