"""What a queued download waits for, in words, when it is not just its turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from config.settings import Settings
from engine import download_budget, source_hosts
from engine.jobs.names import Job
from models.queue import Queue

Reason = dict[str, Any]


def reasons(db: Session, settings: Settings, rows: Iterable[Any]) -> Mapping[str, Reason]:
    """By id, what those of the downloads wait for that are queued and wait for more than their turn.

    A reason is `{"kind", "message", "until"}`; `until` is a time or None. Rows need the columns id, status, host,
    next_run_at and error. Asks the database only where something is queued.
    """
    queued = [row for row in rows if row.status == "queued"]
    if not queued:
        return {}
    resting = {host.name: host for host in source_hosts.throttled(db)}
    busy = set(download_budget.busy_hosts(db, settings))
    queue = db.get(Queue, Job.DOWNLOAD.queue)
    found = {row.id: _reason(row, queue, resting.get(row.host), row.host in busy) for row in queued}
    return {row_id: reason for row_id, reason in found.items() if reason is not None}


def _reason(row: Any, queue: Queue | None, host: Any, busy: bool) -> Reason | None:
    if queue is not None and queue.paused_at is not None:
        return _said("paused", "An admin has paused the downloads.", None)
    if host is not None:
        return _said(
            "host", "The site asked for a rest; its downloads go on by themselves.", host.throttled_until
        )
    if row.next_run_at > datetime.now(UTC):
        failed = row.error["message"] if row.error else "The last attempt was cut off."
        return _said("retry", f"{failed} It is tried again by itself.", row.next_run_at)
    if queue is not None and queue.blocked_reason == "disk":
        return _said("disk", "The server's disk is nearly full; it goes on when there is space.", None)
    if busy:
        return _said(
            "limit",
            "As many downloads of this site run as may at once; it begins when one of them ends.",
            None,
        )
    return None


def _said(kind: str, message: str, until: datetime | None) -> Reason:
    return {"kind": kind, "message": message, "until": until}
