"""The announcement job: tells of one step of a request who asked for it and who follows it, in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from engine.audit import SERVER, Actor
from engine.job_names import Job
from engine.jobs import lease
from engine.jobs.kinds import JobKind
from engine.jobs.runner import Attempt, Keeper
from engine.media_requests import transitions
from engine.notifications.notifications import notify
from engine.notifications.recipients import holders
from engine.permissions import Permission
from models.media_request import MediaRequest, RequestAnnouncement, RequestFollower
from models.user import User

BATCH = 500  # people in one transaction

ANNOUNCE = JobKind(job=Job.ANNOUNCE, model=RequestAnnouncement, running="telling")


def work(attempt: Attempt[RequestAnnouncement]) -> Mapping[str, Any]:
    """Tell everybody; who was told of this step before is not told again.

    Raises:
        Fenced, CancelRequested, ShuttingDown: see `engine.jobs`.
    """
    row, runtime = attempt.row, attempt.runtime
    until, told = row.told_until or "", row.told
    with Keeper(attempt) as keeper:
        while True:
            keeper.check()
            with runtime.unit_of_work() as db:
                request = db.get(MediaRequest, row.request_id)
                people = [] if request is None else _people(db, row, request, until)
                if request is None:
                    return {}
                if not people:
                    if told and row.type != "request.new":
                        _note(db, request, told, until)
                        lease.write(db, ANNOUNCE, row, told=0)
                    return {}
                for user_id in people:
                    _tell(db, row, request, user_id)
                until, told = people[-1], told + len(people)
                lease.write(db, ANNOUNCE, row, told_until=until, told=told)


def _note(db: Session, request: MediaRequest, told: int, last: str) -> None:
    """Keep in the history who was told: a name where it was one, else how many."""
    one = db.get(User, last) if told == 1 else None
    transitions.note(db, request, "told", f"{one.name if one else f'{told} people'} told.", SERVER)


def _people(db: Session, row: RequestAnnouncement, request: MediaRequest, until: str) -> Sequence[str]:
    """The next of those who are told, in order of their ids."""
    if row.type == "request.new":
        managers = sorted(user.id for user in holders(db, Permission.REQUESTS_MANAGE))
        return [user_id for user_id in managers if user_id > until][:BATCH]
    active = (User.disabled_at.is_(None), User.deleted_at.is_(None))
    query = (
        select(RequestFollower.user_id)
        .join(User, User.id == RequestFollower.user_id)
        .where(RequestFollower.request_id == request.id, RequestFollower.user_id > until, *active)
    )
    return db.scalars(query.order_by(RequestFollower.user_id).limit(BATCH)).all()


def _tell(db: Session, row: RequestAnnouncement, request: MediaRequest, user_id: str) -> None:
    title, message = words(row.type, request, own=user_id == request.user_id)
    details: dict[str, Any] = {
        "title": request.title,
        "mediaType": request.media_type,
        "tmdbId": request.tmdb_id,
        "own": user_id == request.user_id,
        "reason": request.deny_reason
        if row.type == "request.denied"
        else (request.error or {}).get("message"),
    }
    if row.type == "request.new":
        details["actions"] = ["approve", "deny"]
        details["comment"] = request.comment
    notify(
        db,
        user_id,
        type=row.type,
        title=title,
        message=message,
        subject=("request", request.id),
        dedupe_key=row.step_id,
        by=row.actor_id,
        group=_group(row, request),
        details=details,
    )
    if user_id != request.user_id and row.type != "request.new":
        transitions.publish(db, request, Actor(row.actor_id), user_id)


def _group(row: RequestAnnouncement, request: MediaRequest) -> str | None:
    """What is decided together, and what arrives of one series, is told together."""
    if row.batch is not None:
        return row.batch
    return f"tv:{request.tmdb_id}" if request.media_type == "tv" and row.type == "request.available" else None


def words(type_: str, request: MediaRequest, *, own: bool) -> tuple[str, str]:
    """Title and message of a notification about a request."""
    name = f"“{request.title}”"
    which = "that you asked for" if own else "that you follow"
    if type_ == "request.new":
        comment = f" They wrote: {request.comment}" if request.comment else ""
        return "Somebody asks for something", f"{name} waits for a decision.{comment}"
    if type_ == "request.approved":
        return f"{name} was approved", f"{name} {which} is on its way."
    if type_ == "request.denied":
        reason = f" Reason: {request.deny_reason}" if request.deny_reason else ""
        return f"{name} was denied", f"{name} {which} was denied.{reason}"
    if type_ == "request.available":
        return f"{name} can be watched", f"{name} {which} is in Plex now."
    cause = (request.error or {}).get("message") or "It could not be fetched."
    return f"{name} could not be fetched", f"{cause} Somebody who looks after the server can try again."


def forget_old(db: Session, age: timedelta) -> None:
    """Drop announcements that ended longer than `age` ago."""
    db.execute(delete(RequestAnnouncement).where(RequestAnnouncement.ended_at < func.clock_timestamp() - age))
