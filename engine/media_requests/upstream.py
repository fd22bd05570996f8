"""Requests at Overseerr compared with ours: what was made, decided, or deleted there, whether a webhook told it or not.

Nothing follows from an Overseerr that is away or answers nonsense. What is available says the catalogue alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine.audit import SERVER
from engine.clients.overseerr import OverseerrClient
from engine.clients.overseerr_answers import OverseerrError, OverseerrGone, UpstreamRequest
from engine.errors import NotFound
from engine.media_requests import taking_up, transitions
from engine.media_requests.fulfilment import overseerr
from engine.media_requests.taking_up import UNDER_WAY
from engine.runtime import Runtime
from models.base import new_id
from models.media_request import Fulfilment, MediaRequest

log = structlog.get_logger(__name__)

_now = func.clock_timestamp


@dataclass(frozen=True)
class _Ours:
    """One of our requests that has a number at Overseerr."""

    id: str
    media_type: str
    tmdb_id: str
    status: str
    reference: str
    target: str | None
    upstream: str | None

    def is_of(self, there: UpstreamRequest) -> bool:
        """Whether it asks for the same title: numbers begin again when Overseerr is set up anew."""
        return (self.media_type, self.tmdb_id) == (there.media_type, there.tmdb_id)


def compare(runtime: Runtime) -> int:
    """Bring our requests in step with all at Overseerr; returns how many changed."""
    with runtime.reading() as db:
        access = overseerr.configured(db, runtime.settings)
    if access is None:
        return 0
    changed, batch = 0, new_id("batch")
    try:
        with overseerr.client_of(access) as client:
            there = {one.id: one for one in client.requests()}
            with runtime.reading() as db:
                ours = _known(db)
            for mine in ours:
                one = there.get(mine.reference)
                if (one is None or not mine.is_of(one)) and not _deleted(client, mine):
                    continue
                changed += _followed(runtime, mine, one, access.url)
            numbers = {mine.reference for mine in ours}
            new = [one for one in there.values() if one.id not in numbers and one.progress in UNDER_WAY]
            changed += taking_up.all_of(runtime, client, new, access.url, batch)
    except OverseerrError as error:
        log.warning("overseerr.not_compared", reason=str(error))
    if changed:
        log.info("overseerr.compared", changed=changed)
    return changed


def look(runtime: Runtime, reference: str | None, titles: Sequence[tuple[str, str]]) -> int:
    """Bring our requests in step with one at Overseerr, or with those of titles; returns how many changed.

    Args:
        runtime: for units of work; none should be open.
        reference: the number of the request there; it may be nonsense, as a webhook told it.
        titles: types and ids at TMDB, which are looked at where the number is none.
    """
    with runtime.reading() as db:
        access = overseerr.configured(db, runtime.settings)
    if access is None:
        return 0
    changed = 0
    try:
        with overseerr.client_of(access) as client:
            found = _found(client, reference, titles)
            with runtime.reading() as db:
                ours = _known(db, [one.id for one in found])
            for mine in ours:
                one = next(one for one in found if one.id == mine.reference)
                if mine.is_of(one):
                    changed += _followed(runtime, mine, one, access.url)
            numbers = {mine.reference for mine in ours}
            new = [one for one in found if one.id not in numbers and one.progress in UNDER_WAY]
            changed += taking_up.all_of(runtime, client, new, access.url, new_id("batch"))
    except OverseerrError as error:  # the comparison of all follows in minutes
        log.warning("overseerr.not_compared", reason=str(error))
    return changed


def _found(
    client: OverseerrClient, reference: str | None, titles: Sequence[tuple[str, str]]
) -> list[UpstreamRequest]:
    if reference is not None:
        try:
            return [client.get(reference)]
        except OverseerrGone:
            pass
    found: dict[str, UpstreamRequest] = {}
    for media_type, tmdb_id in titles:
        try:
            found |= {one.id: one for one in client.title(media_type, tmdb_id).requests}
        except OverseerrGone:
            continue
    return list(found.values())


def _known(db: Session, references: Sequence[str] | None = None) -> list[_Ours]:
    """Our requests that have a number at Overseerr, or one of some numbers."""
    query = select(
        MediaRequest.id,
        MediaRequest.media_type,
        MediaRequest.tmdb_id,
        MediaRequest.status,
        MediaRequest.reference,
        MediaRequest.target,
        MediaRequest.upstream,
    ).where(MediaRequest.reference.is_not(None))
    if references is not None:
        query = query.where(MediaRequest.reference.in_(references))
    return [
        _Ours(
            row.id,
            row.media_type,
            row.tmdb_id or "",
            row.status,
            str(row.reference),
            row.target,
            row.upstream,
        )
        for row in db.execute(query.order_by(MediaRequest.id))
    ]


def _deleted(client: OverseerrClient, mine: _Ours) -> bool:
    """Whether one that is not in the list is gone: a list of many pages may have moved meanwhile."""
    try:
        return not mine.is_of(client.get(mine.reference))
    except OverseerrGone:
        return True


def _followed(runtime: Runtime, mine: _Ours, there: UpstreamRequest | None, target: str) -> bool:
    """Bring one of ours in step; None, or one of another title: ours was deleted."""
    gone = there is None or not mine.is_of(there)
    word = "deleted" if there is None or gone else there.progress
    ignored = mine.status == "denied" and word == "pending"
    if (mine.upstream, mine.target) == (word, target) and not ignored:
        return False
    with runtime.unit_of_work() as db:
        try:
            request = transitions.locked(db, mine.id)
        except NotFound:
            return False
        if request.reference != mine.reference:
            return False
        request.target = target
        if ignored and request.status == "denied":
            return _declined_again(db, request)
        if request.upstream == word:
            return False
        request.upstream = word
        return _follow(db, request, word)


def _follow(db: Session, request: MediaRequest, word: str) -> bool:
    if word == "deleted":
        request.reference = None
        return _ended(db, request, "It was deleted in Overseerr.", "deleted")
    if word == "declined":
        request.reference = None
        return _ended(db, request, "It was declined in Overseerr.", "declined")
    if word == "failed":
        return _ended(db, request, "Overseerr could not hand it to Radarr or Sonarr.", "failed")
    if word in UNDER_WAY and word != "pending" and request.status in {"pending", "failed"}:
        taking_up.under_way(db, request)
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
        transitions.move(db, request, "failed", actor=SERVER, text=text, error=error)
    return True


def _declined_again(db: Session, request: MediaRequest) -> bool:
    """Have one that was denied here, and waits there all the same, declined there."""
    waiting = select(Fulfilment.id).where(Fulfilment.request_id == request.id, Fulfilment.ended_at.is_(None))
    if db.scalar(waiting.limit(1)) is None:
        transitions.dispatch(db, request, "decide", SERVER)
    return False
