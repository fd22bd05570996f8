"""What is taken back from what fulfils a request when the request is removed."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from engine.audit import SERVER, Actor
from engine.correlation import correlation_id
from engine.job_names import Job
from engine.jobs.bell import enqueue
from models.base import new_id
from models.download import Download
from models.media_request import Fulfilment, MediaRequest


def withdraw(db: Session, request: MediaRequest, actor: Actor) -> None:
    """Have Overseerr forget its request too, by a job; a download of ours goes on as one of its owner's.

    The job outlives the request, so it carries what it needs.
    """
    if request.download_id is not None:
        db.execute(update(Download).where(Download.id == request.download_id).values(request_id=None))
    if request.reference is None:
        return
    shared = select(MediaRequest.id).where(
        MediaRequest.reference == request.reference,
        MediaRequest.target == request.target,
        MediaRequest.id != request.id,
    )
    if db.scalar(shared.limit(1)) is None:
        take_back(db, request, request.reference, request.target, actor)


def take_back(
    db: Session, request: MediaRequest, reference: str | None, target: str | None, actor: Actor = SERVER
) -> None:
    """Have Overseerr delete the request `reference` that it made for one of ours; nothing where it made none."""
    if reference is None:
        return
    row = Fulfilment(
        id=new_id("ful"),
        status="queued",
        request_id=request.id,
        dispatch=request.dispatches,
        action="remove",
        actor_id=actor.user_id,
        reference=reference,
        target=target,
        correlation_id=correlation_id(),
    )
    db.add(row)
    enqueue(db, Job.FULFIL)
