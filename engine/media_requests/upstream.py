"""Requests at Overseerr compared with ours: what was made, decided, or deleted there, whether a webhook told it or not.

Nothing follows from an Overseerr that is away or answers nonsense. What is available says the catalogue alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine.audit import SERVER
from engine.clients.overseerr import OverseerrClient, OverseerrError, OverseerrGone, UpstreamRequest
from engine.correlation import correlation_id
from engine.errors import NotFound
from engine.media_requests import following, transitions
from engine.media_requests.fulfilment import overseerr
from engine.runtime import Runtime
from engine.stores import locks
from engine.stores.locks import Hashed
from models.base import new_id
from models.media_request import MediaRequest, RequestSeason
from models.user import User

log = structlog.get_logger(__name__)

_UNDER_WAY = ("pending", "approved", "partial")
_now = func.clock_timestamp


def compare(runtime: Runtime) -> int:
    """Bring our requests in step with those at Overseerr; returns how many changed."""
    with runtime.reading() as db:
        access = overseerr.configured(db, runtime.settings)
    if access is None:
        return 0
    try:
        with overseerr.client_of(access) as client:
            there = {one.id: one for one in client.requests()}
            with runtime.reading() as db:
                known = _known(db, access.url)
            changed = sum(
                _followed(runtime, request_id, there.get(reference))
                for reference, request_id in known.items()
                if reference in there or _deleted(client, reference)
            )
            for one in there.values():
                if one.id not in known and one.progress in _UNDER_WAY:
                    changed += _taken_up(runtime, client, one, access.url)
    except OverseerrError as error:
        log.warning("overseerr.not_compared", reason=str(error))
        return 0
    if changed:
        log.info("overseerr.compared", changed=changed)
    return changed


def _known(db: Session, target: str) -> Mapping[str, str]:
    """Our requests by their number at this Overseerr, of those that may still change."""
    query = select(MediaRequest.reference, MediaRequest.id).where(
        MediaRequest.reference.is_not(None), MediaRequest.target == target
    )
    return {str(reference): request_id for reference, request_id in db.execute(query)}


def _deleted(client: OverseerrClient, reference: str) -> bool:
    """Whether one that is not in the list is gone: a list of many pages may have moved meanwhile."""
    try:
        client.get(reference)
    except OverseerrGone:
        return True
    return False


def _followed(runtime: Runtime, request_id: str, there: UpstreamRequest | None) -> bool:
    """Bring one of ours in step; `there` None: it was deleted."""
    with runtime.unit_of_work() as db:
        try:
            request = transitions.locked(db, request_id)
        except NotFound:
            return False
        word = "deleted" if there is None else there.progress
        if request.upstream == word:
            return False
        request.upstream = word
        if word == "deleted":
            request.reference = None
            return _ended(db, request, "It was deleted in Overseerr.", "deleted")
        if word == "declined":
            return _ended(db, request, "It was declined in Overseerr.", "declined")
        if word == "failed":
            return _ended(db, request, "Overseerr could not hand it to Radarr or Sonarr.", "failed")
        if word != "pending" and request.status == "pending":
            _approved_there(db, request)
        return True


def _ended(db: Session, request: MediaRequest, text: str, kind: str) -> bool:
    if request.status == "pending":
        transitions.move(db, request, "denied", actor=SERVER, text=text, deny_reason=text, decided_at=_now())
    elif request.status in {"approved", "processing"}:
        error = {
            "kind": f"{kind}_upstream",
            "message": text,
            "advice": "Try again, or add it by hand.",
            "retryable": True,
            "choices": [{"by": "hand", "label": "Add it by hand"}],
        }
        transitions.move(db, request, "failed", actor=SERVER, text=text, error=error, reference=None)
    return True


def _approved_there(db: Session, request: MediaRequest) -> None:
    text = "Approved in Overseerr."
    transitions.move(
        db, request, "approved", actor=SERVER, text=text, hand_on=False, decided_at=_now(), by="overseerr"
    )
    transitions.move(db, request, "processing", actor=SERVER, text="Overseerr looks for it.")


def _taken_up(runtime: Runtime, client: OverseerrClient, there: UpstreamRequest, target: str) -> bool:
    """Have a request that was made there appear here, once; or note that one of ours is the same."""
    title, year = client.title(there.media_type, there.tmdb_id)
    with runtime.unit_of_work() as db:
        locks.hold(db, locks.hashed(Hashed.REQUESTED_TITLE, f"{there.media_type}:{there.tmdb_id}"))
        same = select(MediaRequest).where(
            MediaRequest.media_type == there.media_type, MediaRequest.tmdb_id == there.tmdb_id
        )
        ours = db.scalars(same.order_by(MediaRequest.id).with_for_update()).all()
        if there.media_type == "movie":
            return not ours and _imported(db, there, target, title, year, ())
        taken = set(db.scalars(select(RequestSeason.number).where(RequestSeason.tmdb_id == there.tmdb_id)))
        free = [number for number in there.seasons if number not in taken]
        return bool(free) and _imported(db, there, target, title, year, free)


def _imported(
    db: Session, there: UpstreamRequest, target: str, title: str, year: int | None, seasons: Sequence[int]
) -> bool:
    user = None
    if there.plex_id is not None:
        user = db.scalar(select(User).where(User.plex_id == there.plex_id, User.deleted_at.is_(None)))
    columns: dict[str, Any] = {"quality": "2160p"} if there.is_4k else {}
    request = MediaRequest(
        id=new_id("req"),
        media_type=there.media_type,
        status="pending",
        tmdb_id=there.tmdb_id,
        tvdb_id=there.tvdb_id if there.media_type == "tv" else None,
        title=title,
        year=year,
        user_id=None if user is None else user.id,
        requested_by_name=there.name,
        source="overseerr",
        by="overseerr",
        reference=there.id,
        target=target,
        upstream=there.progress,
        updated_at=_now(),
        correlation_id=correlation_id(),
        **columns,
    )
    db.add(request)
    db.flush()
    db.add_all(
        RequestSeason(request_id=request.id, number=number, tmdb_id=there.tmdb_id) for number in seasons
    )
    if user is not None:
        following.add(db, request.id, user.id, own=True)
    who = user.name if user is not None else there.name or "somebody"
    step = transitions.note(db, request, "asked", f"Asked in Overseerr by {who}.", SERVER)
    if there.progress == "pending":
        transitions.announce(db, request, step, "request.new", SERVER)
        transitions.publish(db, request, SERVER)
    else:
        _approved_there(db, request)
    return True
