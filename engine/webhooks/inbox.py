"""The inbox: each message is stored once and answered at once; what it means is found out by a job."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import orjson
from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session, defer

from config.redaction import BLANK, is_secret_name
from engine.clients.foreign_json import NotJson, decoded, mended
from engine.correlation import correlation_id
from engine.errors import NotFound, ValidationFailed
from engine.job_names import Job
from engine.jobs.bell import enqueue
from engine.paging import Page
from models.base import new_id
from models.webhook import Webhook

WINDOW = timedelta(minutes=10)  # in which the same message of a source is one row
RETENTION = timedelta(days=30)
STATUSES = ("received", "processing", "processed", "ignored", "failed")

_EVENT_KEYS = ("event", "notification_type", "type", "action")  # what a message calls itself, by who sends it
_LONGEST_EVENT = 100  # characters
_TOKEN_IN_URL = re.compile(r"(?i)((?:token|api_?key|secret|password)=)[^&\s\"'#]+")

# Counts one more of a message that we have, or else stores it.
_STORE = text(
    """
    WITH copy AS (
        UPDATE webhooks SET copies = copies + 1
        WHERE id = (
            SELECT id FROM webhooks
            WHERE source = :source AND digest = :digest AND created_at > clock_timestamp() - :window
            ORDER BY created_at DESC LIMIT 1
        )
        RETURNING id, status
    ), fresh AS (
        INSERT INTO webhooks (id, status, source, event, digest, payload, address, received_at, correlation_id)
        SELECT :fresh, 'received', :source, :event, :digest, CAST(:payload AS jsonb), :address, clock_timestamp(),
               :correlation
        WHERE NOT EXISTS (SELECT FROM copy)
        RETURNING id, status
    )
    SELECT id, status FROM copy UNION ALL SELECT id, status FROM fresh
    """
)

_now = func.clock_timestamp


class Received(NamedTuple):
    """What a sender is told."""

    id: str
    status: str


def parsed(body: bytes | str) -> dict[str, Any]:
    """The object in a message, without secrets, and as the database can hold it; see `engine.clients.foreign_json`.

    Raises:
        ValidationFailed: it is not a JSON object.
    """
    try:
        payload = decoded(body)
        try:
            orjson.dumps(payload)
        except TypeError:  # so deep that it would be too much for all that comes after
            payload = mended(body)
    except NotJson:
        raise ValidationFailed(
            "The message is not valid JSON.", payload="Is not JSON, or is cut short."
        ) from None
    if not isinstance(payload, dict):
        raise ValidationFailed("The message is not a JSON object.", payload="Must be a JSON object.")
    found: dict[str, Any] = _blanked(payload)
    return found


def receive(db: Session, *, source: str, payload: Mapping[str, Any], address: str | None) -> Received:
    """Store a message and ring; one that came already within ten minutes is that row, however many come at once.

    Args:
        db: the unit of work.
        source: who sent it, as it was proven.
        payload: as `parsed` returns it.
        address: where it came from.
    """
    digest = hashlib.sha256(orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)).hexdigest()
    # First the lock, in a statement of its own: what follows must see what those before us have committed.
    db.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{source}:{digest}", 0))))
    fresh = new_id("wh")
    values = {
        "fresh": fresh,
        "source": source,
        "digest": digest,
        "event": _event_of(payload),
        "payload": orjson.dumps(payload).decode(),
        "address": address,
        "correlation": correlation_id(),
        "window": WINDOW,
    }
    received = Received(*db.execute(_STORE, values).one())
    if received.id == fresh:
        enqueue(db, Job.WEBHOOK)
    return received


def listing(
    db: Session,
    *,
    page: int,
    limit: int,
    source: str | None = None,
    status: str | None = None,
    event: str | None = None,
) -> Page[Webhook]:
    """A page of the messages, newest first, without what they say."""
    query = select(Webhook)
    for column, value in ((Webhook.source, source), (Webhook.status, status), (Webhook.event, event)):
        if value is not None:
            query = query.where(column == value)
    total = db.scalar(select(func.count()).select_from(query.subquery())) or 0
    some = query.order_by(Webhook.id.desc()).offset((page - 1) * limit).limit(limit)
    return Page(db.scalars(some.options(defer(Webhook.payload))).all(), page, limit, total)


def get(db: Session, webhook_id: str) -> Webhook:
    """One message.

    Raises:
        NotFound: there is none.
    """
    row = db.get(Webhook, webhook_id)
    if row is None:
        raise NotFound("There is no such webhook.")
    return row


def replay(db: Session, webhook_id: str) -> tuple[Webhook, bool]:
    """Have a message worked on again; returns it, and whether it had ended and so waits anew.

    What has come of it before stays: nothing is counted or told twice.

    Raises:
        NotFound: there is none.
    """
    row = db.scalars(select(Webhook).where(Webhook.id == webhook_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound("There is no such webhook.")
    if row.ended_at is None:
        return row, False
    row.status, row.ended_at, row.error, row.outcome = "received", None, None, None
    row.attempt = row.crash_count = 0
    row.next_run_at = _now()
    db.flush()
    db.refresh(row)
    enqueue(db, Job.WEBHOOK)
    return row, True


def forget_old(db: Session, age: timedelta) -> None:
    """Drop messages that came, and ended, longer ago than `age`."""
    db.execute(delete(Webhook).where(Webhook.created_at < _now() - age, Webhook.ended_at.is_not(None)))


def _event_of(payload: Mapping[str, Any]) -> str:
    names = (payload.get(key) for key in _EVENT_KEYS)
    return next((name[:_LONGEST_EVENT] for name in names if isinstance(name, str) and name), "")


def _blanked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: BLANK if is_secret_name(key) and each else _blanked(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_blanked(each) for each in value]
    if isinstance(value, str):
        return _TOKEN_IN_URL.sub(rf"\1{BLANK}", value) if "=" in value else value
    return value
