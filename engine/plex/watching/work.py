"""The job that reads a user's watch states from Plex: queued by their requests, at most once in five minutes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from engine.clients.plex.errors import PlexError, PlexUnauthorized, TokenRefused
from engine.correlation import correlation_id
from engine.errors import MediaNestError
from engine.job_names import Job
from engine.jobs.bell import enqueue
from engine.jobs.kinds import JobKind, longest_due
from engine.jobs.runner import INTERNAL, Attempt, GiveUp, Keeper, Retry
from engine.plex.watching import refresh
from engine.runtime import Runtime
from engine.stores import cache
from engine.stores.database_errors import is_refused, reason
from models.base import new_id
from models.watch_refresh import WatchRefresh

log = structlog.get_logger(__name__)

EVERY_SECONDS = 300
AGAIN_SECONDS = 30  # where nothing could be learned
_ATTEMPTS = 3
_ASKED = "watched:asked:"

WATCH_REFRESH = JobKind(
    job=Job.WATCHED,
    model=WatchRefresh,
    running="running",
    first=longest_due,
    attempts=lambda settings: _ATTEMPTS,
    pause=lambda settings, attempt: AGAIN_SECONDS * attempt,
)


def request(runtime: Runtime, user_id: str) -> None:
    """Queue a refresh of a user's watch states, unless one was queued in the last five minutes.

    Redis remembers who was queued, so that most requests cost no write; without Redis nothing is queued.
    """
    if not cache.of(runtime.settings).set_if_absent(_ASKED + user_id, EVERY_SECONDS):
        return
    now = func.clock_timestamp()
    again = {
        "status": "queued",
        "attempt": 0,
        "crash_count": 0,
        "created_at": now,
        "next_run_at": now,
        "started_at": None,
        "ended_at": None,
        "cancel_requested_at": None,
        "error": None,
        "correlation_id": correlation_id(),
    }
    query = insert(WatchRefresh).values(id=new_id("wat"), user_id=user_id, **again)
    query = query.on_conflict_do_update(
        index_elements=["user_id"], set_=again, where=WatchRefresh.ended_at.is_not(None)
    )
    with runtime.unit_of_work() as db:
        db.execute(query)
        enqueue(db, Job.WATCHED)


def work(attempt: Attempt[WatchRefresh]) -> Mapping[str, Any]:
    """Refresh the user's watch states; ends well as well where Plex will not tell anything of them.

    What is written is the same however often it is written, so nothing but the lease is fenced.

    Raises:
        Retry: plex.tv or the server can't be reached.
        GiveUp: the database can't hold what Plex tells.
        Fenced, CancelRequested, ShuttingDown: see `engine.jobs`.
    """
    runtime, user_id = attempt.runtime, attempt.row.user_id
    try:
        with Keeper(attempt) as keeper:
            changed = refresh.refresh(runtime, user_id, keeper.check)
    except (TokenRefused, PlexUnauthorized) as error:
        log.info("watched.not_refreshed", user=user_id, error=type(error).__name__)
        changed = None
    except MediaNestError as error:
        _ask_again_soon(runtime, user_id)
        raise Retry(_away(error)) from error
    except DBAPIError as error:
        if not is_refused(error):
            raise
        log.error("watched.refused_by_database", user=user_id, reason=reason(error))
        raise GiveUp(INTERNAL) from error
    if changed is None:
        _ask_again_soon(runtime, user_id)
    else:
        log.debug("watched.refreshed", user=user_id, changed=changed)
    return {}


def _ask_again_soon(runtime: Runtime, user_id: str) -> None:
    cache.of(runtime.settings).expire(_ASKED + user_id, AGAIN_SECONDS)


def _away(error: MediaNestError) -> dict[str, Any]:
    kind = error.kind if isinstance(error, PlexError) else error.code.lower()
    advice = "It is read again when the user looks at the library next."
    return {"kind": kind, "message": str(error), "advice": advice, "retryable": True}
