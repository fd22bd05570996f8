"""The availability pass: brings requests in step with the catalogue and with their downloads, each under its lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.arrivals import arrivals
from engine.audit import SERVER
from engine.errors import NotFound
from engine.media_requests import availability, differing, transitions
from engine.media_requests.availability import Availability, TitleIds
from engine.plex.server import connection
from engine.runtime import Runtime
from engine.stores import locks
from engine.stores.locks import Lock
from models.download import Download
from models.media_request import MediaRequest, RequestSeason
from models.plex_library import PlexServer
from models.sync_run import SyncRun

log = structlog.get_logger(__name__)

_OUTSIDE = "outside"  # the reason of a file that no library of Plex is to have
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
        ids = [*differing.videos(db)]
        if server_id is not None:
            losing = _may_lose(db, server_id)
            ids += differing.films(db, server_id, losing=losing)
            ids += differing.series(db, server_id, losing=losing)
    changed = 0
    for request_id in ids:
        with runtime.unit_of_work() as db:
            changed += _settle(db, runtime.settings, request_id)
    if changed:
        log.info("requests.availability", changed=changed)
    return changed


def _may_lose(db: Session, server_id: str) -> bool:
    """Whether what the catalogue lacks is not in Plex: it was read whole once, and is not being read this moment.

    A sync goes through one library after another, so what was moved between two is nowhere for a while. A sync that
    can't end, as Plex is away, says nothing either.
    """
    read = select(PlexServer.id).where(PlexServer.id == server_id, PlexServer.synced_at.is_not(None))
    reading = select(SyncRun.id).where(SyncRun.ended_at.is_(None))
    return bool(db.scalar(select(read.exists() & ~reading.exists())))


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
    if request.media_type == "movie":
        return _settle_whole(db, settings, request, there, whole=there.plex)
    return _settle_series(db, settings, request, there)


def _settle_series(db: Session, settings: Settings, request: MediaRequest, there: Availability) -> bool:
    """Note what each season is; the request is available while all of them are."""
    seasons = db.scalars(
        select(RequestSeason)
        .where(RequestSeason.request_id == request.id)
        .order_by(RequestSeason.number)
        .execution_options(populate_existing=True)
    ).all()
    states = _states(request, seasons, there)
    different = [season for season in seasons if season.status != states[season.number]]
    lost = any(season.status == "available" for season in different)
    if lost and not _loses(db, settings):
        return False
    episodes = {season.number: season.available for season in there.seasons}
    for season in different:
        season.status = states[season.number]
        season.had = episodes[season.number] if season.status == "available" else season.had
    db.flush()
    whole = bool(states) and all(state == "available" for state in states.values())
    if _settle_whole(db, settings, request, there, whole=whole):
        return True
    if different:
        arrived = [str(season.number) for season in seasons if season.status == "available"]
        text = f"In Plex: season {', '.join(arrived)}." if arrived else "Some of it is in Plex."
        transitions.note(db, request, "partial", text, SERVER)
        transitions.publish(db, request, SERVER)
    return bool(different)


def _settle_whole(
    db: Session, settings: Settings, request: MediaRequest, there: Availability, *, whole: bool
) -> bool:
    if whole and request.status in _PATHS:
        _arrive(db, request, "It is in Plex.", item_id=there.item_id)
        return True
    if not whole and request.status == "available" and _loses(db, settings):
        text = "Plex does not have it any more."
        transitions.move(db, request, "processing", actor=SERVER, text=text, item_id=None, available_at=None)
        return True
    return False


def _loses(db: Session, settings: Settings) -> bool:
    """Whether what is not there may be taken back at this moment."""
    server_id = connection.server_id(db, settings)
    return server_id is not None and _may_lose(db, server_id)


def _settle_video(db: Session, request: MediaRequest) -> bool:
    download = db.get(Download, request.download_id or "")
    if request.status not in {"processing", "failed"} or (download is not None and download.ended_at is None):
        return False
    if download is not None and download.status == "completed":
        plex = arrivals.states(db, [download]).get(download.id)
        if plex is None or plex["available"] or (plex["reason"] or {}).get("kind") == _OUTSIDE:
            there = plex is not None and plex["available"]
            text = "It is in Plex." if there else "The file is in its folder."
            _arrive(db, request, text, item_id=None if plex is None else plex["itemId"])
            return True
        if plex["state"] == "waiting":
            return False
        return _failed(db, request, plex["reason"])
    if download is None:
        return _failed(db, request, {"kind": "removed", "message": "Its download was removed."})
    return _failed(db, request, download.error or {"kind": download.status})


def _failed(db: Session, request: MediaRequest, cause: Mapping[str, Any]) -> bool:
    """Say why it can't be had; where that was said already, nothing is done."""
    if request.status == "failed":
        return False
    kind = cause.get("kind") or "failed"
    message = cause.get("message") or f"Its download was {kind}."
    error: dict[str, Any] = {
        "kind": kind,
        "message": message,
        "advice": cause.get("advice") or "Try again.",
        "retryable": True,
        "choices": [],
    }
    transitions.move(db, request, "failed", actor=SERVER, text=message, error=error)
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
