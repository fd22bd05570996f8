"""The fulfilment job: hands an approved request on, tells Overseerr what was decided of one, takes one back there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from engine.audit import SERVER
from engine.clients.overseerr_answers import OverseerrAway, OverseerrError, OverseerrGone
from engine.errors import NotFound
from engine.job_names import Job
from engine.jobs.kinds import JobKind, growing_pause
from engine.jobs.runner import Attempt, GiveUp, Keeper, Retry
from engine.media_requests import transitions
from engine.media_requests.fulfilment import overseerr, withdrawing
from engine.media_requests.fulfilment.base import Fulfiller, NotFulfilled
from engine.media_requests.fulfilment.downloads import ByDownload
from engine.media_requests.fulfilment.hand import ByHand
from engine.media_requests.fulfilment.overseerr import ByOverseerr
from engine.runtime import Runtime
from models.media_request import Fulfilment, MediaRequest, RequestSeason

log = structlog.get_logger(__name__)

_ATTEMPTS = 8  # over about half an hour
_WAYS: Mapping[str, Fulfiller] = {"overseerr": ByOverseerr(), "download": ByDownload(), "hand": ByHand()}


def _changed(db: Session, row: Fulfilment) -> None:
    """A request whose fulfilment is given up has failed, with the cause."""
    if row.status != "failed" or row.action != "send":
        return
    try:
        request = transitions.locked(db, row.request_id)
    except NotFound:
        return
    if request.status != "approved" or request.dispatches != row.dispatch:
        return
    error = {"choices": [], **(row.error or {"kind": "failed", "message": "It could not be handed on."})}
    transitions.move(db, request, "failed", actor=SERVER, text=str(error["message"]), error=error)


FULFIL = JobKind(
    job=Job.FULFIL,
    model=Fulfilment,
    running="sending",
    attempts=lambda settings: _ATTEMPTS,
    pause=lambda settings, attempt: growing_pause(2.0, 600.0, attempt),
    changed=_changed,
)


def work(attempt: Attempt[Fulfilment]) -> Mapping[str, Any]:
    """Do what the row says; one that is overtaken by a later dispatch does nothing.

    Raises:
        Retry: Overseerr is away.
        GiveUp: it can't be handed on.
        Fenced, CancelRequested, ShuttingDown: see `engine.jobs`.
    """
    with Keeper(attempt) as keeper:
        if attempt.row.action != "send":
            _tell_upstream(attempt.runtime, attempt.row)
            return {}
        try:
            _send(attempt, keeper)
        except NotFulfilled as failed:
            if failed.passing:
                raise Retry(failed.error) from None
            raise GiveUp(failed.error) from None
    return {}


def _send(attempt: Attempt[Fulfilment], keeper: Keeper) -> None:
    row, runtime = attempt.row, attempt.runtime
    with runtime.reading() as db:
        request = db.get(MediaRequest, row.request_id)
        if request is None or request.status != "approved" or request.dispatches != row.dispatch:
            return
        seasons = db.scalars(
            select(RequestSeason.number).where(
                RequestSeason.request_id == request.id, RequestSeason.status != "available"
            )
        ).all()
        by = request.by or _usual(db, runtime, request)
    handed = _WAYS[by].hand_on(runtime, request, sorted(seasons), row.actor_id)
    keeper.check()
    with runtime.unit_of_work() as db:
        try:
            now = transitions.locked(db, row.request_id)
        except NotFound:  # removed meanwhile: what was made there is taken back too
            withdrawing.take_back(db, request, handed.columns.get("reference"), handed.columns.get("target"))
            return
        if now.dispatches != row.dispatch:
            return
        if now.status == "approved":
            transitions.move(db, now, "processing", actor=SERVER, text=handed.text, by=by, **handed.columns)
        elif now.status == "available":  # it appeared meanwhile; what was made there is followed all the same
            for name, value in {"by": by, **handed.columns}.items():
                setattr(now, name, value)


def _usual(db: Session, runtime: Runtime, request: MediaRequest) -> str:
    """The way by what is set up."""
    if request.media_type == "video":
        return "download"
    return "hand" if overseerr.configured(db, runtime.settings) is None else "overseerr"


def _tell_upstream(runtime: Runtime, row: Fulfilment) -> None:
    """Decline there what was denied here, or delete there what was removed here; what is gone there is no error."""
    with runtime.reading() as db:
        access = overseerr.configured(db, runtime.settings)
        request = db.get(MediaRequest, row.request_id)
    reference = row.reference or (request.reference if request is not None else None)
    target = row.target or (request.target if request is not None else None)
    if access is None or reference is None or (target is not None and target != access.url):
        return
    if row.action == "decide" and (request is None or request.status != "denied"):
        return
    try:
        with overseerr.client_of(access) as client:
            if row.action == "remove":
                client.delete(reference)
            else:
                client.decide(reference, "decline")
    except OverseerrGone:
        return
    except OverseerrError as error:
        said = {"kind": error.kind, "message": str(error), "advice": "Look at Overseerr.", "retryable": True}
        raise (Retry if isinstance(error, OverseerrAway) else GiveUp)(said) from None


def forget_old(db: Session, age: timedelta) -> None:
    """Drop fulfilments that ended longer than `age` ago."""
    db.execute(delete(Fulfilment).where(Fulfilment.ended_at < func.clock_timestamp() - age))


def trouble(db: Session, request: MediaRequest) -> str | None:
    """Why the last attempt to hand a request on failed, while another one follows; None where none did."""
    query = select(Fulfilment.error).where(
        Fulfilment.request_id == request.id,
        Fulfilment.dispatch == request.dispatches,
        Fulfilment.action == "send",
        Fulfilment.ended_at.is_(None),
    )
    error = db.scalar(query)
    return None if error is None else f"{error['message']} It is tried again by itself."
