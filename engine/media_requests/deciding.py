"""Decisions about requests: approve, deny, try again, reopen, change, take back; each under the lock of its row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from engine import audit, events
from engine.audit import SERVER, Actor, Subject
from engine.errors import Conflict, Forbidden, MediaNestError, NotFound, ValidationFailed
from engine.events import Event
from engine.media_requests import asking, transitions
from engine.media_requests.fulfilment import overseerr, withdrawing
from engine.readers import REQUEST
from engine.runtime import Runtime, settings_of
from engine.stores import locks
from engine.stores.locks import Hashed
from engine.titles import titles
from models.base import new_id
from models.media_request import MediaRequest, RequestComment, RequestFollower

WAYS = ("overseerr", "download", "hand")

_DECIDED = frozenset({"approved", "processing", "available"})
_now = func.clock_timestamp


@dataclass(frozen=True)
class Result:
    """What became of one of several: `approved`, `denied`, `unchanged` (it was already), or `refused` with an error."""

    id: str
    result: str
    error: MediaNestError | None = None


def approve(
    db: Session,
    request_id: str,
    actor: Actor,
    *,
    by: str | None = None,
    tvdb_id: str | None = None,
    batch: str | None = None,
) -> MediaRequest:
    """Approve a request, or have a failed one tried again; one that is approved already stays as it is.

    Args:
        db: the unit of work.
        request_id: of the request.
        actor: who decides.
        by: how it is fulfilled, of `WAYS`; None: as what is set up says.
        tvdb_id: of a series that Overseerr can't find at TVDB by itself.
        batch: common to all that are decided together.

    Raises:
        NotFound: there is none.
        Conflict: it was denied.
        ValidationFailed: it can't be fulfilled that way.
    """
    request = transitions.locked(db, request_id)
    if request.status in _DECIDED:
        return request
    if request.status == "denied":
        raise Conflict("It was denied; reopen it, then it can be approved.")
    _check_way(db, request, by)
    again = request.status == "failed"
    transitions.move(
        db,
        request,
        "approved",
        actor=actor,
        text="Tried again." if again else "Approved.",
        batch=batch,
        tell=not again,
        by=by or (request.by if again else None),
        tvdb_id=tvdb_id or request.tvdb_id,
        error=None,
        decided_by=request.decided_by if again else actor.user_id,
        decided_at=request.decided_at if again else _now(),
    )
    db.flush()
    db.refresh(request)
    return request


def deny(
    db: Session, request_id: str, actor: Actor, reason: str | None, *, batch: str | None = None
) -> MediaRequest:
    """Deny a pending request; one that is denied already stays as it is, but takes the reason that it lacks.

    Raises:
        NotFound: there is none.
        Conflict: it was approved.
    """
    request = transitions.locked(db, request_id)
    if request.status == "denied":
        if reason and not request.deny_reason:
            request.deny_reason = reason
            transitions.note(db, request, "changed", f"Reason: {reason}", actor)
            transitions.publish(db, request, actor)
        return request
    if request.status != "pending":
        raise Conflict(f"Only a pending request can be denied; this one is {request.status}.")
    transitions.move(
        db,
        request,
        "denied",
        actor=actor,
        text=f"Denied: {reason}" if reason else "Denied.",
        batch=batch,
        deny_reason=reason,
        decided_by=actor.user_id,
        decided_at=_now(),
    )
    if request.reference is not None:
        transitions.dispatch(db, request, "decide", actor)
    db.flush()
    db.refresh(request)
    return request


def reopen(db: Session, request_id: str, actor: Actor) -> MediaRequest:
    """Make a denied request pending again.

    Raises:
        NotFound: there is none.
        Conflict: it is not denied.
    """
    request = transitions.locked(db, request_id)
    if request.status == "pending":
        return request
    transitions.move(
        db,
        request,
        "pending",
        actor=actor,
        text="Reopened.",
        deny_reason=None,
        decided_by=None,
        decided_at=None,
    )
    db.flush()
    db.refresh(request)
    return request


def retry(
    db: Session, request_id: str, actor: Actor, *, by: str | None = None, tvdb_id: str | None = None
) -> MediaRequest:
    """Have a failed request handed on again.

    Raises:
        NotFound: there is none.
        Conflict: it has not failed.
    """
    if transitions.locked(db, request_id).status != "failed":
        raise Conflict("Only a failed request can be tried again.")
    return approve(db, request_id, actor, by=by, tvdb_id=tvdb_id)


def approve_all(runtime: Runtime, ids: Sequence[str], actor: Actor) -> list[Result]:
    """Approve several, each in a transaction of its own; people are told of all together."""
    decide = partial(approve, actor=actor, batch=new_id("batch"))
    return [_one(runtime, one, "approved", decide) for one in dict.fromkeys(ids)]


def deny_all(runtime: Runtime, ids: Sequence[str], actor: Actor, reason: str | None) -> list[Result]:
    """Deny several, each in a transaction of its own; people are told of all together."""
    decide = partial(deny, actor=actor, reason=reason, batch=new_id("batch"))
    return [_one(runtime, one, "denied", decide) for one in dict.fromkeys(ids)]


def change(
    runtime: Runtime, request_id: str, user_id: str, *, manages: bool, changes: dict[str, Any], actor: Actor
) -> None:
    """Change comment, quality or seasons of a pending request.

    Args:
        runtime: for units of work.
        request_id: of the request.
        user_id: who changes it.
        manages: whether they may change anybody's.
        changes: `comment`, `quality`, `seasons`; only what is given changes.
        actor: the same person, for the audit log.

    Raises:
        NotFound: there is none that they see.
        Forbidden: they only follow it.
        Conflict: it is not pending any more.
        ValidationFailed: a value is not accepted.
    """
    with runtime.reading() as db:
        seen = db.get(MediaRequest, request_id)
        if seen is None:
            raise NotFound("There is no such request.")
        _own(db, seen, user_id, manages=manages)
        media_type, tmdb_id = seen.media_type, seen.tmdb_id
    numbers = None
    if media_type == "tv" and "seasons" in changes:
        facts = titles.look_up(runtime, "tv", tmdb_id or "")
        numbers = asking.seasons_wanted(facts, changes["seasons"])
    with runtime.unit_of_work() as db:
        if (
            numbers is not None
        ):  # lock the title: a season belongs to one request, and others may ask for it now
            locks.hold(db, locks.hashed(Hashed.REQUESTED_TITLE, f"tv:{tmdb_id}"))
        request = _changeable(db, request_id, user_id, manages=manages)
        if "seasons" in changes and numbers is None:
            raise ValidationFailed("Only a series has seasons.", seasons="Only for a series.")
        if (quality := changes.get("quality")) is not None and quality not in asking.QUALITIES:
            raise ValidationFailed(
                "Unknown quality.", quality=f"Must be one of: {', '.join(asking.QUALITIES)}."
            )
        _set(request, changes)
        if numbers is not None:
            asking.replace_seasons(db, request, numbers)
        transitions.note(db, request, "changed", f"Changed: {', '.join(sorted(changes))}.", actor)
        transitions.publish(db, request, actor)


def change_comment(
    db: Session, request_id: str, user_id: str, text: str | None, *, manages: bool, actor: Actor
) -> None:
    """Change what was written with a request while it is pending.

    Raises:
        NotFound: there is none that they see.
        Forbidden: they only follow it.
        Conflict: it is not pending any more.
    """
    request = _changeable(db, request_id, user_id, manages=manages)
    _set(request, {"comment": text})
    transitions.note(db, request, "changed", "Changed: comment.", actor)
    transitions.publish(db, request, actor)


def comment(db: Session, request_id: str, user_id: str, text: str, actor: Actor) -> RequestComment:
    """Write something below a request that one sees."""
    request = transitions.locked(db, request_id)
    row = RequestComment(id=new_id("cmt"), request_id=request.id, user_id=user_id, text=text)
    db.add(row)
    db.flush()
    transitions.publish(db, request, actor)
    return row


def remove(db: Session, request_id: str, user_id: str, *, manages: bool, actor: Actor) -> MediaRequest:
    """Take a request back: one's own while it is pending, any with `requests.manage`; returns it as it was.

    Raises:
        NotFound: there is none that they see.
        Forbidden: they only follow it.
        Conflict: it was decided already.
    """
    request = transitions.locked(db, request_id)
    _own(db, request, user_id, manages=manages)
    if request.status != "pending" and not manages:
        raise Conflict(f"Only a pending request can be taken back; this one is {request.status}.")
    audit.record(db, "request.removed", actor, Subject("request", request.id, request.title))
    _remove(db, request, actor)
    return request


def forget_user(db: Session, user_id: str) -> None:
    """Take back what a user who is deleted asked for, as far as it is pending and nobody else waits for it.

    The rest stays, without their name; they follow nothing more.
    """
    mine = (MediaRequest.user_id == user_id, MediaRequest.status == "pending", MediaRequest.followers == 0)
    for request in db.scalars(
        select(MediaRequest).where(*mine).order_by(MediaRequest.id).with_for_update()
    ).all():
        _remove(db, request, SERVER)
    followed = select(RequestFollower.request_id).where(
        RequestFollower.user_id == user_id, RequestFollower.own.is_(False)
    )
    db.execute(
        update(MediaRequest)
        .where(MediaRequest.id.in_(followed))
        .values(followers=func.greatest(MediaRequest.followers - 1, 0))
    )
    db.execute(delete(RequestFollower).where(RequestFollower.user_id == user_id))


def _remove(db: Session, request: MediaRequest, actor: Actor) -> None:
    """Delete a request here, and at Overseerr if it was sent there; tells who sees it."""
    withdrawing.withdraw(db, request, actor)
    if request.user_id is not None:
        data = {"id": request.id, "mediaTitle": request.title}
        events.publish(db, Event("request:removed", data, request.user_id, REQUEST))
    db.execute(delete(MediaRequest).where(MediaRequest.id == request.id))
    db.expunge(request)


def _changeable(db: Session, request_id: str, user_id: str, *, manages: bool) -> MediaRequest:
    request = transitions.locked(db, request_id)
    _own(db, request, user_id, manages=manages)
    if request.status != "pending":
        raise Conflict(f"Only a pending request can be changed; this one is {request.status}.")
    return request


def _set(request: MediaRequest, changes: Mapping[str, Any]) -> None:
    for name in ("comment", "quality"):
        if name in changes:
            setattr(request, name, changes[name])


def _own(db: Session, request: MediaRequest, user_id: str, *, manages: bool) -> None:
    if manages or request.user_id == user_id:
        return
    if db.get(RequestFollower, (request.id, user_id)) is None:
        raise NotFound("There is no such request.")
    raise Forbidden("You follow this request; only who asked for it may change it.")


def _check_way(db: Session, request: MediaRequest, by: str | None) -> None:
    if by is None:
        return
    fitting = ("download", "hand") if request.media_type == "video" else ("overseerr", "hand")
    if by not in fitting:
        raise ValidationFailed("It can't be fulfilled that way.", by=f"Must be one of: {', '.join(fitting)}.")
    if by == "overseerr" and overseerr.configured(db, settings_of(db)) is None:
        raise ValidationFailed(
            "Overseerr is not set up.", by="Overseerr is not set up: set it up first, or choose hand."
        )


def _one(
    runtime: Runtime, request_id: str, word: str, decide: Callable[[Session, str], MediaRequest]
) -> Result:
    try:
        with runtime.unit_of_work() as db:
            before = transitions.locked(db, request_id).status
            after = decide(db, request_id).status
    except MediaNestError as error:
        return Result(request_id, "refused", error)
    return Result(request_id, word if before != after else "unchanged")
