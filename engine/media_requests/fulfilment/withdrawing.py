"""What is taken back from what fulfils a request when the request is removed."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.orm import Session

from engine.audit import Actor
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
    row = Fulfilment(
        id=new_id("ful"),
        status="queued",
        request_id=request.id,
        dispatch=request.dispatches,
        action="remove",
        actor_id=actor.user_id,
        reference=request.reference,
        target=request.target,
        correlation_id=correlation_id(),
    )
    db.add(row)
    enqueue(db, Job.FULFIL)
