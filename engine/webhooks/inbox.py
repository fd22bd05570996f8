"""The inbox of webhooks: each message is stored once (deduplicated) and answered at once; a job handles it."""

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
from engine import audit
from engine.audit import Actor, Subject
from engine.clients.foreign_json import NotJson, decoded, repaired
from engine.correlation import correlation_id
from engine.errors import NotFound, ValidationFailed
from engine.job_names import Job
from engine.jobs.bell import enqueue
from engine.paging import Page
from models.base import new_id
from models.webhook import Webhook

WINDOW = timedelta(minutes=10)  # deduplication: within it, equal messages of a source are one row
RETENTION = timedelta(days=30)
STATUSES = ("received", "processing", "processed", "ignored", "failed")

# The event's name, by sender; what Overseerr calls `event` is a sentence.
_EVENT_KEYS = ("notification_type", "event", "type", "action")
_LONGEST_EVENT = 100  # characters
_TOKEN_IN_URL = re.compile(r"(?i)((?:token|api_?key|secret|password)=)[^&\s\"'#]+")

# Increments `copies` of an equal message within the window, or inserts the message.
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
    """The answer to the sender."""

    id: str
    status: str


def parsed(body: bytes | str) -> dict[str, Any]:
    """Parse a message; secrets are blanked and texts made storable (`engine.clients.foreign_json`).

    Raises:
        ValidationFailed: it is not a JSON object.
    """
    try:
        payload = decoded(body)
        try:
            orjson.dumps(payload)
        except TypeError:  # nested deeper than orjson can write
            payload = repaired(body)
    except NotJson:
        raise ValidationFailed(
            "The message is not valid JSON.", payload="Is not JSON, or is cut short."
        ) from None
    if not isinstance(payload, dict):
        raise ValidationFailed("The message is not a JSON object.", payload="Must be a JSON object.")
    found: dict[str, Any] = _blanked(payload)
    return found


def receive(db: Session, *, source: str, payload: Mapping[str, Any], address: str | None) -> Received:
    """Store a message and ring; an equal one of the last ten minutes is counted instead, also when sent in parallel.

    Args:
        db: the unit of work.
        source: the verified sender.
        payload: as `parsed` returns it.
        address: the client's IP address.
    """
    digest = hashlib.sha256(orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)).hexdigest()
    # The lock in a statement of its own: the next statement's snapshot must see rows committed before the lock.
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
    """A page of messages, newest first, without their payloads."""
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


def replay(db: Session, webhook_id: str, actor: Actor) -> tuple[Webhook, bool]:
    """Queue a message again; returns it, and whether it had ended (otherwise it is still queued or running).

    Handlers are idempotent: nothing is counted or notified twice.

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
    subject = Subject("webhook", row.id, f"{row.source} {row.event}".strip())
    audit.record(db, "webhook.replayed", actor, subject)
    return row, True


def forget_old(db: Session, age: timedelta) -> None:
    """Delete ended messages that were received longer ago than `age`."""
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
