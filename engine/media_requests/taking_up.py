"""Requests that were made at Overseerr become ours: taken up as new ones, or as what one of ours is there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine.audit import SERVER
from engine.clients.overseerr import OverseerrClient
from engine.clients.overseerr_answers import OverseerrAway, OverseerrError, OverseerrGone, UpstreamRequest
from engine.correlation import correlation_id
from engine.errors import MediaNestError
from engine.job_names import Job
from engine.jobs.bell import enqueue
from engine.media_requests import following, transitions
from engine.runtime import Runtime
from engine.stores import locks
from engine.stores.locks import Hashed
from engine.titles import titles
from models.base import new_id
from models.media_request import Fulfilment, MediaRequest, RequestSeason
from models.user import User

log = structlog.get_logger(__name__)

UNDER_WAY = ("pending", "approved", "partial")

_ADOPTING = ("pending", "processing", "failed")  # our requests that may be the same as one there
_FAILURES = 3  # in a row, of single titles: then Overseerr is away
_now = func.clock_timestamp


@dataclass(frozen=True)
class _Described:
    """What is known of a title that is taken up."""

    title: str
    year: int | None
    poster: str | None = None
    imdb_id: str | None = None
    tvdb_id: str | None = None


def all_of(
    runtime: Runtime, client: OverseerrClient, new: Sequence[UpstreamRequest], target: str, batch: str
) -> int:
    """Take up requests that none of ours has the number of; returns how many changed something here.

    One that can't be described, as Overseerr or TMDB does not know its title any more, keeps back no other.

    Args:
        runtime: for units of work; none should be open.
        client: of the Overseerr at `target`.
        new: requests there that are under way.
        target: its address.
        batch: common to all, so that those who decide are told once.

    Raises:
        OverseerrError: it is away.
    """
    changed = failures = 0
    for one in new:
        with runtime.reading() as db:
            if not _concerns(db, one):
                continue
        try:
            changed += _TakingUp(runtime, client, client.get(one.id), target, batch).take()
            failures = 0
        except OverseerrGone:
            continue
        except OverseerrError as error:
            failures += isinstance(error, OverseerrAway)
            log.warning("overseerr.not_taken_up", reference=one.id, reason=str(error))
            if failures == _FAILURES:
                raise
    return changed


def under_way(db: Session, request: MediaRequest, *, tell: bool = True) -> None:
    """A locked request that was approved, or tried again, in Overseerr, which looks for it now."""
    again = request.status == "failed"
    transitions.move(
        db,
        request,
        "approved",
        actor=SERVER,
        text="Tried again in Overseerr." if again else "Approved in Overseerr.",
        tell=tell and not again,
        hand_on=False,
        by="overseerr",
        error=None,
        decided_at=request.decided_at if again else _now(),
    )
    transitions.move(db, request, "processing", actor=SERVER, text="Overseerr looks for it.")


def _of_title(one: UpstreamRequest) -> Sequence[Any]:
    return MediaRequest.media_type == one.media_type, MediaRequest.tmdb_id == one.tmdb_id


def _free(db: Session, one: UpstreamRequest) -> list[int]:
    """The seasons that it asks for and none of ours does."""
    taken = set(db.scalars(select(RequestSeason.number).where(RequestSeason.tmdb_id == one.tmdb_id)))
    return [number for number in one.seasons if number not in taken]


def _concerns(db: Session, one: UpstreamRequest) -> bool:
    """Whether it says anything new: a title or season that nobody asked for here, or one of ours without its number."""
    ours = db.execute(select(MediaRequest.reference, MediaRequest.status).where(*_of_title(one))).all()
    if any(reference is None and status in _ADOPTING for reference, status in ours):
        return True
    return not ours if one.media_type == "movie" else bool(_free(db, one))


class _TakingUp:
    """One request of Overseerr, as it is at this moment."""

    def __init__(
        self, runtime: Runtime, client: OverseerrClient, there: UpstreamRequest, target: str, batch: str
    ) -> None:
        self._runtime, self._client = runtime, client
        self._there, self._target, self._batch = there, target, batch

    def take(self) -> bool:
        """Take it up, unless it ended meanwhile, or is about to be deleted there as ours was removed."""
        there = self._there
        if there.progress not in UNDER_WAY:
            return False
        described = self._described()
        with self._runtime.unit_of_work() as db:
            locks.hold(db, locks.hashed(Hashed.REQUESTED_TITLE, f"{there.media_type}:{there.tmdb_id}"))
            leaving = select(Fulfilment.id).where(
                Fulfilment.action == "remove",
                Fulfilment.reference == there.id,
                Fulfilment.ended_at.is_(None),
            )
            if db.scalar(leaving.limit(1)) is not None:
                return False
            query = select(MediaRequest).where(*_of_title(there)).order_by(MediaRequest.id).with_for_update()
            ours = db.scalars(query, execution_options={"populate_existing": True}).all()
            adopted = [self._adopted(db, request) for request in ours if self._fits(db, request)]
            if there.media_type == "movie":
                return bool(adopted) or (not ours and self._imported(db, described, ()))
            free = _free(db, there)
            return bool(free and self._imported(db, described, free)) or bool(adopted)

    def _described(self) -> _Described:
        there = self._there
        try:
            found = titles.look_up(self._runtime, there.media_type, there.tmdb_id)
        except MediaNestError:
            told = self._client.title(there.media_type, there.tmdb_id)
            return _Described(told.name, told.year, tvdb_id=told.tvdb_id)
        return _Described(found.title, found.year, found.poster, found.imdb_id, found.tvdb_id)

    def _fits(self, db: Session, request: MediaRequest) -> bool:
        """Whether one of ours is what this is there: all its seasons are asked for, and it has no number yet."""
        if request.reference is not None or request.status not in _ADOPTING:
            return False
        mine = db.scalars(select(RequestSeason.number).where(RequestSeason.request_id == request.id)).all()
        return set(mine) <= set(self._there.seasons)

    def _adopted(self, db: Session, request: MediaRequest) -> str:
        there = self._there
        request.reference, request.target, request.upstream = there.id, self._target, there.progress
        if there.progress != "pending" and request.status in {"pending", "failed"}:
            under_way(db, request)
        else:
            transitions.note(
                db, request, "upstream", f"It is asked for in Overseerr too: {there.id}.", SERVER
            )
        return request.id

    def _imported(self, db: Session, described: _Described, seasons: Sequence[int]) -> bool:
        there, user = self._there, None
        if there.plex_id is not None:
            user = db.scalar(select(User).where(User.plex_id == there.plex_id, User.deleted_at.is_(None)))
        request = MediaRequest(
            id=new_id("req"),
            media_type=there.media_type,
            status="pending",
            tmdb_id=there.tmdb_id,
            imdb_id=described.imdb_id,
            tvdb_id=described.tvdb_id or (there.tvdb_id if there.media_type == "tv" else None),
            title=described.title,
            year=described.year,
            poster=described.poster,
            quality="2160p" if there.is_4k else None,
            user_id=None if user is None else user.id,
            requested_by_name=there.name,
            source="overseerr",
            by="overseerr",
            reference=there.id,
            target=self._target,
            upstream=there.progress,
            updated_at=_now(),
            correlation_id=correlation_id(),
        )
        db.add(request)
        db.flush()
        db.add_all(
            RequestSeason(request_id=request.id, number=number, tmdb_id=there.tmdb_id) for number in seasons
        )
        db.flush()
        if user is not None:
            following.add(db, request.id, user.id, own=True)
        who = user.name if user is not None else there.name or "somebody"
        step = transitions.note(db, request, "asked", f"Asked in Overseerr by {who}.", SERVER)
        if there.progress == "pending":
            transitions.announce(db, request, step, "request.new", SERVER, self._batch)
            transitions.publish(db, request, SERVER)
        else:
            under_way(db, request, tell=False)
            enqueue(db, Job.CHECK_AVAILABILITY)
        return True
