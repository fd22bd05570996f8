"""The state machine of a request: each change is one transition of a locked row that records, audits and tells once."""

from __future__ import annotations

from typing import Any, Literal

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from engine import audit, events
from engine.audit import Actor, Subject
from engine.correlation import correlation_id
from engine.errors import Conflict, NotFound
from engine.events import Event
from engine.job_names import Job
from engine.jobs.bell import enqueue
from engine.readers import REQUEST
from models.base import new_id
from models.media_request import Fulfilment, MediaRequest, RequestAnnouncement, RequestSeason, RequestStep
from models.user import User

log = structlog.get_logger(__name__)

Status = Literal["pending", "approved", "denied", "processing", "available", "failed"]
STATUSES: tuple[Status, ...] = ("pending", "approved", "denied", "processing", "available", "failed")

# From each status the ones that may follow. The catalogue goes through all that lie between.
WAYS: dict[str, frozenset[str]] = {
    "pending": frozenset({"approved", "denied"}),
    "approved": frozenset({"processing", "failed"}),
    "denied": frozenset({"pending"}),
    "processing": frozenset({"available", "failed"}),
    "available": frozenset({"processing"}),
    "failed": frozenset({"approved"}),
}
TOLD = frozenset({"approved", "denied", "available", "failed"})

_now = func.clock_timestamp


def locked(db: Session, request_id: str) -> MediaRequest:
    """A request, locked until the unit of work ends; every transition needs that.

    Raises:
        NotFound: there is none.
    """
    query = select(MediaRequest).where(MediaRequest.id == request_id).with_for_update()
    found = db.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    if found is None:
        raise NotFound("There is no such request.")
    return found


def move(
    db: Session,
    request: MediaRequest,
    status: Status,
    *,
    actor: Actor,
    text: str,
    tell: bool = True,
    hand_on: bool = True,
    batch: str | None = None,
    **columns: Any,
) -> RequestStep:
    """Bring a locked request into another status.

    Adds the step to its history, writes the audit log, and publishes `request:updated`. Its followers are told of
    approved, denied, available and failed by a job. An approved one is handed to what fulfils it by a job too.

    Args:
        db: the unit of work that holds the lock.
        request: as `locked` returned it.
        status: the new one.
        actor: who causes it; `audit.SERVER` for the catalogue, rules and jobs.
        text: a sentence for its history.
        tell: False where a later transition of the same unit is what people are told of.
        hand_on: False where an approved one is there already, and nobody needs to fetch it.
        batch: common to all that are decided together.
        columns: further columns of the request that change with it.

    Raises:
        Conflict: no such way leads from its present status.
    """
    if status not in WAYS[request.status]:
        raise Conflict(f"A request that is {request.status} can't become {status}.")
    before, request.status = request.status, status
    for name, value in columns.items():
        setattr(request, name, value)
    step = note(db, request, status, text, actor)
    _move_seasons(db, request)
    if status == "approved" and hand_on:
        request.dispatches += 1
        dispatch(db, request, "send", actor)
    subject = Subject("request", request.id, request.title)
    audit.record(db, f"request.{status}", actor, subject, before=before)
    if tell and status in TOLD:
        announce(db, request, step, f"request.{status}", actor, batch)
    publish(db, request, actor)
    log.info("request.moved", request_id=request.id, status=status, before=before)
    return step


def _move_seasons(db: Session, request: MediaRequest) -> None:
    """Seasons of which nothing is there are as far as their request: pending, or under way."""
    before, now = ("processing", "pending") if request.status == "pending" else ("pending", "processing")
    if request.media_type != "tv" or request.status == "denied":
        return
    query = update(RequestSeason).where(
        RequestSeason.request_id == request.id, RequestSeason.status == before
    )
    db.execute(query.values(status=now))


def note(db: Session, request: MediaRequest, step: str, text: str, actor: Actor) -> RequestStep:
    """Add a step to the history of a request without a change of status."""
    row = RequestStep(
        id=new_id("step"),
        request_id=request.id,
        step=step,
        text=text,
        user_id=actor.user_id,
        correlation_id=correlation_id(),
    )
    request.updated_at = _now()
    db.add(row)
    db.flush()
    return row


def dispatch(db: Session, request: MediaRequest, action: str, actor: Actor) -> None:
    """Have a request handed to what fulfils it (`send`), or what was decided told there (`decide`, `remove`)."""
    row = Fulfilment(
        id=new_id("ful"),
        status="queued",
        request_id=request.id,
        dispatch=request.dispatches,
        action=action,
        actor_id=actor.user_id,
        correlation_id=correlation_id(),
    )
    db.add(row)
    enqueue(db, Job.FULFIL)


def publish(db: Session, request: MediaRequest, actor: Actor, user_id: str | None = None) -> None:
    """Publish `request:updated` to who asked (or to `user_id`, a follower), and to admins with the former."""
    owner = user_id or request.user_id
    if owner is None:
        return
    by = None if actor.user_id is None else db.scalar(select(User.name).where(User.id == actor.user_id))
    events.publish(db, Event("request:updated", event_data(request, by), owner, REQUEST))


def event_data(request: MediaRequest, by: str | None) -> dict[str, Any]:
    """A request in events and snapshots; `by`: the name of who changed it last."""
    return {
        "id": request.id,
        "status": request.status,
        "mediaType": request.media_type,
        "mediaTitle": request.title,
        "updatedBy": by,
    }


def announce(
    db: Session,
    request: MediaRequest,
    step: RequestStep,
    type_: str,
    actor: Actor,
    batch: str | None = None,
) -> None:
    """Have people told of a step by a job: `request.new` who may decide, of anything else who follows it."""
    row = RequestAnnouncement(
        id=new_id("ann"),
        status="queued",
        request_id=request.id,
        step_id=step.id,
        type=type_,
        actor_id=actor.user_id,
        batch=batch,
        correlation_id=correlation_id(),
    )
    db.add(row)
    enqueue(db, Job.ANNOUNCE)
