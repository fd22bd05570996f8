"""Arrivals as people see them: whether a finished download can be watched in Plex, and if not, why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from config.settings import Settings
from engine import events, notifications
from engine.errors import ServiceUnavailable
from engine.events import Event
from engine.jobs.bell import correlation_id, enqueue
from engine.jobs.names import Job
from engine.plex import connection
from models.base import new_id
from models.download import Download
from models.media import MediaItem
from models.plex_arrival import PlexArrival
from models.plex_library import PlexSection

LOOKED_FOR = timedelta(minutes=10)

State = dict[str, Any]

_QUIET = {"outside"}  # reasons that say how things are set up: nobody is woken for each of his downloads
_REMOVED = {
    "kind": "removed",
    "message": "It was in Plex and is not there any more.",
    "advice": "Look whether its file still lies in the library's folder.",
}

_now = func.clock_timestamp
_arrival, _item = PlexArrival.__table__.c, MediaItem.__table__.c
_COLUMNS = (
    _arrival.status.label("plex_status"),
    _arrival.error.label("plex_error"),
    _arrival.rating_key.label("plex_rating_key"),
    _arrival.item_id.label("plex_item_id"),
    _arrival.created_at.label("plex_created_at"),
    _arrival.ended_at.label("plex_ended_at"),
    _item.deleted_at.label("plex_deleted_at"),
)


def expect(db: Session, settings: Settings, download_id: str) -> bool:
    """Have a download looked for in Plex once it is completed; False where there is no Plex.

    Call it in a unit that is fenced by the download's epoch, as the last thing before it is completed.
    """
    if not _is_configured(db, settings):
        return False
    wish = {
        "id": new_id("arr"),
        "status": "queued",
        "server_id": "",
        "section_key": "",
        "path": "",
        "deadline": _now() + LOOKED_FOR,
        "correlation_id": correlation_id(),
    }
    query = insert(PlexArrival).values(download_id=download_id, **wish)
    db.execute(query.on_conflict_do_nothing(index_elements=["download_id"]))
    return True


def begin(db: Session, download_id: str) -> None:
    """The download has been completed: ring, where its arrival is waited for."""
    if db.scalar(select(PlexArrival.id).where(PlexArrival.download_id == download_id)) is not None:
        enqueue(db, Job.ARRIVE)


def joined(query: Select[Any], download_id: Any) -> Select[Any]:
    """A query of downloads with the columns that `state` reads; one row stays one row."""
    arrivals, items = PlexArrival.__table__, MediaItem.__table__
    return (
        query.add_columns(*_COLUMNS)
        .outerjoin(arrivals, _arrival.download_id == download_id)
        .outerjoin(items, _item.id == _arrival.item_id)
    )


def states(db: Session, rows: Iterable[Download]) -> Mapping[str, State]:
    """By id, what is known of those downloads that were completed while Plex was configured."""
    completed = [row.id for row in rows if row.status == "completed"]
    if not completed:
        return {}
    table = Download.__table__
    query = joined(select(table.c.id, table.c.status).select_from(table), table.c.id)
    found = {row.id: state(row) for row in db.execute(query.where(table.c.id.in_(completed)))}
    return {download_id: one for download_id, one in found.items() if one is not None}


def state(row: Any) -> State | None:
    """What clients are told of a row of `joined`: `{state, available, ratingKey, itemId, reason, since}`.

    None for a download that is not completed, or that nobody looks for. `since` is a time.
    """
    status = row.plex_status
    if status is None or row.status != "completed":
        return None
    if status == "completed":
        if row.plex_deleted_at is not None:
            return _state(row, "not_found", _REMOVED, row.plex_deleted_at)
        return _state(row, "available", None, row.plex_ended_at)
    if row.plex_ended_at is None:
        return _state(row, "waiting", row.plex_error, row.plex_created_at)
    return None if row.plex_error is None else _state(row, "not_found", row.plex_error, row.plex_ended_at)


def changed(db: Session, row: PlexArrival) -> None:
    """Tell the owner how it ended, in the unit that ends it; what is said now is true."""
    if row.ended_at is None or (row.status == "cancelled" and row.error is None):
        return
    download = db.get(Download, row.download_id)
    if download is None:
        return
    item = None if row.item_id is None else db.get(MediaItem, row.item_id)
    available = row.status == "completed"
    data = {
        "id": row.item_id,
        "type": item and item.type,
        "title": item.title if item is not None else _title(download),
        "count": 1,
        "downloadId": download.id,
        "ratingKey": row.rating_key,
        "available": available,
        "reason": None if available else _words(row.error),
    }
    events.publish(db, Event("media:added", data, download.user_id, "media"))
    if available:
        _notify(db, download, "available", f"{_title(download)} can be watched now", _where(db, row))
    elif row.error is not None and row.error["kind"] not in _QUIET:
        reason = f"{row.error['message']} {row.error['advice']}"
        _notify(db, download, "not_in_plex", f"{_title(download)} is not in Plex", reason)


def _state(row: Any, name: str, reason: Any, since: Any) -> State:
    available = name == "available"
    return {
        "state": name,
        "available": available,
        "ratingKey": row.plex_rating_key if available else None,
        "itemId": row.plex_item_id,
        "reason": _words(reason),
        "since": since,
    }


def _words(reason: Any) -> dict[str, str] | None:
    return None if reason is None else {name: reason[name] for name in ("kind", "message", "advice")}


def _notify(db: Session, download: Download, what: str, title: str, message: str) -> None:
    notifications.notify(
        db,
        download.user_id,
        type=f"download.{what}",
        title=title,
        message=message,
        subject=("download", download.id),
        dedupe_key=f"download.{what}:{download.id}",
    )


def _title(download: Download) -> str:
    if download.title:
        return download.title
    return PurePosixPath(download.file["path"]).stem if download.file else download.url


def _where(db: Session, row: PlexArrival) -> str:
    section = db.get(PlexSection, (row.server_id, row.section_key))
    return "It is in Plex." if section is None else f"It is in Plex, in “{section.title}”."


def _is_configured(db: Session, settings: Settings) -> bool:
    try:
        return connection.configured(db, settings) is not None
    except ServiceUnavailable:
        return True  # its token can't be read at present: the reason is told there
