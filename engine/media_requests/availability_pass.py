"""The availability pass: brings requests in step with the catalogue and with their downloads, each under its lock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import Select, func, or_, select, union
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.arrivals import arrivals
from engine.audit import SERVER
from engine.errors import NotFound
from engine.media_requests import availability, transitions
from engine.media_requests.availability import Availability, TitleIds
from engine.plex.server import connection
from engine.runtime import Runtime
from engine.stores import locks
from engine.stores.locks import Lock
from models.download import Download
from models.media import MediaItem
from models.media_request import MediaRequest, RequestSeason

log = structlog.get_logger(__name__)

_WAITS = ("pending", "approved", "processing", "failed")
_PATHS: Mapping[str, Sequence[transitions.Status]] = {
    "pending": ("approved", "processing", "available"),
    "failed": ("approved", "processing", "available"),
    "approved": ("processing", "available"),
    "processing": ("available",),
}


def check(runtime: Runtime) -> int:
    """Compare all requests with the facts; returns how many changed.

    One runs at a time; what another one is doing is left to it.
    """
    with runtime.unit_of_work() as db:
        if not locks.try_hold(db, Lock.AVAILABILITY):
            return 0
        server_id = connection.server_id(db, runtime.settings)
        ids = list(db.scalars(_ended_downloads()))
        if server_id is not None:
            ids += db.scalars(_films(server_id))
            ids += _series(db, runtime.settings, server_id)
    changed = 0
    for request_id in dict.fromkeys(ids):
        with runtime.unit_of_work() as db:
            changed += _settle(db, runtime.settings, request_id)
    if changed:
        log.info("requests.availability", changed=changed)
    return changed


def _films(server_id: str) -> Select[str]:
    """Requests of films that are there without being available, or the reverse."""
    film = (
        MediaItem.server_id == server_id,
        MediaItem.type == "movie",
        MediaItem.deleted_at.is_(None),
    )
    of_film = (MediaRequest.media_type == "movie", MediaRequest.status != "denied")
    there = union(
        *(
            select(MediaRequest.id)
            .join(MediaItem, getattr(MediaItem, name) == getattr(MediaRequest, name))
            .where(*film, *of_film)
            for name in ("tmdb_id", "imdb_id", "tvdb_id")
        )
    ).subquery()
    is_there = MediaRequest.id.in_(select(there.c.id))
    return select(MediaRequest.id).where(
        *of_film,
        or_(
            MediaRequest.status.in_(_WAITS) & is_there,
            (MediaRequest.status == "available") & ~is_there,
        ),
    )


def _series(db: Session, settings: Settings, server_id: str) -> list[str]:
    """Requests of series whose seasons are not as they are noted; only series that are in the catalogue, or were."""
    show = (MediaItem.server_id == server_id, MediaItem.type == "show", MediaItem.deleted_at.is_(None))
    of_series = (MediaRequest.media_type == "tv", MediaRequest.status != "denied")
    there = union(
        *(
            select(MediaRequest.id)
            .join(MediaItem, getattr(MediaItem, name) == getattr(MediaRequest, name))
            .where(*show, *of_series)
            for name in ("tmdb_id", "imdb_id", "tvdb_id")
        ),
        select(MediaRequest.id).where(*of_series, MediaRequest.status == "available"),
        select(RequestSeason.request_id).where(RequestSeason.status.in_(("partial", "available"))),
    ).subquery()
    query = select(MediaRequest).where(*of_series, MediaRequest.id.in_(select(there.c.id)))
    found, rows = [], db.scalars(query.order_by(MediaRequest.id)).all()
    for start in range(0, len(rows), 500):
        some = rows[start : start + 500]
        known = availability.of(db, settings, [_ids(row) for row in some])
        seasons = _seasons(db, [row.id for row in some])
        found += [
            row.id for row in some if _differs(row, seasons[row.id], known[row.media_type, row.tmdb_id or ""])
        ]
    return found


def _differs(request: MediaRequest, seasons: Sequence[RequestSeason], there: Availability) -> bool:
    states = _states(request, seasons, there)
    whole = bool(states) and all(state == "available" for state in states.values())
    if whole != (request.status == "available"):
        return True
    return any(season.status != states[season.number] for season in seasons)


def _states(request: MediaRequest, seasons: Sequence[RequestSeason], there: Availability) -> dict[int, str]:
    """What each season is by the facts; one that was whole stays so until episodes of it vanish, whatever is aired."""
    known = {season.number: season for season in there.seasons}
    usual = "pending" if request.status in {"pending", "denied"} else "processing"
    states = {}
    for season in seasons:
        now = known.get(season.number)
        if now is None or not now.available:
            states[season.number] = usual
        elif now.complete or (season.status == "available" and now.available >= (season.had or 0)):
            states[season.number] = "available"
        else:
            states[season.number] = "partial"
    return states


def _ended_downloads() -> Select[str]:
    """Requests of videos whose download has ended."""
    return (
        select(MediaRequest.id)
        .join(Download, Download.id == MediaRequest.download_id)
        .where(MediaRequest.status == "processing", Download.ended_at.is_not(None))
    )


def _settle(db: Session, settings: Settings, request_id: str) -> bool:
    """Look again under the lock of the request, and bring it in step."""
    try:
        request = transitions.locked(db, request_id)
    except NotFound:
        return False
    if request.status == "denied":
        return False
    if request.media_type == "video":
        return _settle_video(db, request)
    there = availability.of(db, settings, [_ids(request)])[request.media_type, request.tmdb_id or ""]
    seasons = _seasons(db, [request.id])[request.id]
    if request.media_type == "movie":
        return _settle_whole(db, request, there, whole=there.plex)
    states = _states(request, seasons, there)
    changed = False
    episodes = {season.number: season.available for season in there.seasons}
    for season in seasons:
        if season.status != states[season.number]:
            season.status, changed = states[season.number], True
            if season.status == "available":
                season.had = episodes[season.number]
    whole = bool(states) and all(state == "available" for state in states.values())
    if _settle_whole(db, request, there, whole=whole):
        return True
    if changed:
        arrived = [str(season.number) for season in seasons if season.status == "available"]
        text = f"In Plex: season {', '.join(arrived)}." if arrived else "Some of it is in Plex."
        transitions.note(db, request, "partial", text, SERVER)
        transitions.publish(db, request, SERVER)
    return changed


def _settle_whole(db: Session, request: MediaRequest, there: Availability, *, whole: bool) -> bool:
    if whole and request.status in _PATHS:
        _arrive(db, request, "It is in Plex.", item_id=there.item_id)
        return True
    if not whole and request.status == "available":
        text = "Plex does not have it any more."
        transitions.move(db, request, "processing", actor=SERVER, text=text, item_id=None, available_at=None)
        return True
    return False


def _settle_video(db: Session, request: MediaRequest) -> bool:
    download = db.get(Download, request.download_id or "")
    if download is None or request.status != "processing":
        return False
    if download.status == "completed":
        plex = arrivals.states(db, [download]).get(download.id)
        if plex is not None and plex["state"] == "waiting":
            return False
        text = "It is in Plex." if plex is not None and plex["available"] else "The file is in its folder."
        _arrive(db, request, text, item_id=None if plex is None else plex["itemId"])
        return True
    error = download.error or {}
    cause = {
        "kind": error.get("kind", download.status),
        "message": error.get("message") or f"Its download was {download.status}.",
        "advice": error.get("advice") or "Try again.",
        "retryable": True,
    }
    transitions.move(db, request, "failed", actor=SERVER, text=cause["message"], error=cause)
    return True


def _arrive(db: Session, request: MediaRequest, text: str, *, item_id: str | None) -> None:
    """Go all ways that lie between; people are told of the last, and nothing is asked for any more."""
    for status in _PATHS[request.status]:
        last = status == "available"
        columns: dict[str, Any] = (
            {"item_id": item_id, "available_at": func.clock_timestamp(), "error": None} if last else {}
        )
        words = text if last else "It appeared by itself."
        transitions.move(db, request, status, actor=SERVER, text=words, tell=last, hand_on=False, **columns)


def _ids(request: MediaRequest) -> TitleIds:
    return TitleIds(request.media_type, request.tmdb_id or "", request.imdb_id, request.tvdb_id)


def _seasons(db: Session, ids: Sequence[str]) -> Mapping[str, list[RequestSeason]]:
    found = defaultdict[str, list[RequestSeason]](list)
    for season in db.scalars(
        select(RequestSeason).where(RequestSeason.request_id.in_(ids)).order_by(RequestSeason.number)
    ):
        found[season.request_id].append(season)
    return found
