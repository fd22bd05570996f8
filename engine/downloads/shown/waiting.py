"""Why a queued download has not begun yet, as a message for its owner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from config.settings import Settings
from engine.downloads import budget as download_budget
from engine.downloads import turns as download_turns
from engine.downloads.sources import host_breaker
from engine.job_names import Job
from models.queue import Queue

Reason = dict[str, Any]


def reasons(db: Session, settings: Settings, rows: Iterable[Any]) -> Mapping[str, Reason]:
    """Reason by id, of the queued ones among the rows.

    A reason is `{"kind", "message", "until"}`; `until` is a time or None. Rows need the columns id, user_id, status,
    host, next_run_at, yielded_at and error. Queries the database only if some are queued.
    """
    queued = [row for row in rows if row.status == "queued"]
    if not queued:
        return {}
    resting = {host.name: host for host in host_breaker.throttled(db)}
    busy = set(download_budget.busy_hosts(db, settings))
    queue = db.get(Queue, Job.DOWNLOAD.queue)
    running = download_turns.running(db)
    return {
        row.id: _known_reason(row, queue, resting.get(row.host), row.host in busy) or _turn(row, running)
        for row in queued
    }


def _known_reason(row: Any, queue: Queue | None, host: Any, busy: bool) -> Reason | None:
    if queue is not None and queue.paused_at is not None:
        return _reason("paused", "An admin has paused the downloads.", None)
    if host is not None:
        return _reason(
            "host", "The site asked for a rest; its downloads go on by themselves.", host.throttled_until
        )
    if row.next_run_at > datetime.now(UTC):
        failed = row.error["message"] if row.error else "The last attempt was cut off."
        return _reason("retry", f"{failed} It is tried again by itself.", row.next_run_at)
    if queue is not None and queue.blocked_reason == "disk":
        return _reason("disk", "The server's disk is nearly full; it goes on when there is space.", None)
    if row.yielded_at is not None:
        return _reason(
            "yielded",
            "It made room for somebody else's, which waited; it goes on where it stopped when its turn comes.",
            None,
        )
    if busy:
        return _reason(
            "limit",
            "As many downloads of this site run as may at once; it begins when one of them ends.",
            None,
        )
    return None


def _turn(row: Any, running: Counter[str]) -> Reason:
    """No known obstacle: all slots are taken, or a worker is about to claim it."""
    others, own = running.total() - running[row.user_id], running[row.user_id]
    if not others and not own:
        return _reason("turn", "Its turn is next: it begins as soon as a worker is free.", None)
    counted = " and ".join(
        f"{number} of {whose}" for number, whose in ((own, "yours"), (others, "other people's")) if number
    )
    return _reason("turn", f"It waits for a place: {counted} run before it.", None)


def _reason(kind: str, message: str, until: datetime | None) -> Reason:
    return {"kind": kind, "message": message, "until": until}
