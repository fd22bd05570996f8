"""Arrivals as people see them: whether a finished download can be watched in Plex, and if not, why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, any_, bindparam, exists, func, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from config.settings import Settings
from engine import events
from engine.correlation import correlation_id
from engine.errors import ServiceUnavailable
from engine.events import Event
from engine.job_names import Job
from engine.jobs.bell import enqueue
from engine.notifications import notifications
from engine.plex.server import connection
from engine.readers import ARRIVAL
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


def expect(db: Session, settings: Settings, download_id: str) -> bool:
    """Have a download looked for in Plex once it is completed; False where there is no Plex.

    Call it in a unit that is fenced by the download's epoch, as the last thing before it is completed.
    """
    if not _is_configured(db, settings):
        return False
    times = {"created_at": _now(), "deadline": _now() + LOOKED_FOR}
    query = insert(PlexArrival).values(
        id=new_id("arr"),
        download_id=download_id,
        status="queued",
        server_id="",  # which library it lies in is found out by the first look
        section_key="",
        path="",
        correlation_id=correlation_id(),
        **times,
    )
    db.execute(query.on_conflict_do_update(index_elements=["download_id"], set_=times))
    return True


def begin(db: Session, download_id: str) -> None:
    """The download has been completed: ring, where its arrival is waited for."""
    if db.scalar(select(PlexArrival.id).where(PlexArrival.download_id == download_id)) is not None:
        enqueue(db, Job.ARRIVE)


def any_at_all() -> ColumnElement[bool]:
    """For a query of downloads: whether `states` has anything to say. Costs a list nothing, unlike a join."""
    return exists(select(_arrival.id))


def states(db: Session, rows: Iterable[Any]) -> Mapping[str, State]:
    """By id, what clients are told of those downloads that were completed while Plex was configured.

    A state is `{state, available, ratingKey, itemId, reason, since}`, its `since` a time. Rows need the columns id and
    status.
    """
    completed = [row.id for row in rows if row.status == "completed"]
    if not completed:
        return {}
    found = {row.download_id: _told(row) for row in db.execute(_query(), {"ids": completed})}
    return {download_id: state for download_id, state in found.items() if state is not None}


@cache
def _query() -> Select[Any]:
    """What is known of some arrivals: of plain columns and an array, so that it stays prepared."""
    items, ids = MediaItem.__table__, bindparam("ids", type_=ARRAY(Text))
    columns = (
        _arrival.download_id,
        _arrival.status,
        _arrival.error,
        _arrival.rating_key,
        _arrival.created_at,
    )
    late = items.alias("late")
    # What was found; else what has come into the catalogue since with that very file.
    came_later = select(late.c.id).where(
        late.c.server_id == _arrival.server_id,
        late.c.file == _arrival.path,
        late.c.deleted_at.is_(None),
    )
    found = func.coalesce(_arrival.item_id, came_later.limit(1).scalar_subquery())
    return (
        select(
            *columns,
            _arrival.ended_at,
            _item.id.label("item_id"),
            _item.rating_key.label("item_key"),
            _item.created_at.label("item_since"),
            _item.deleted_at.label("item_gone"),
        )
        .select_from(PlexArrival.__table__.outerjoin(items, _item.id == found))
        .where(_arrival.download_id == any_(ids))
    )


def _told(row: Any) -> State | None:
    """The state of a row of `_query`; None where nobody looks for it."""
    if row.ended_at is None:
        return _state(row, "waiting", row.error, row.created_at)
    if row.item_gone is not None:
        return _state(row, "not_found", _REMOVED, row.item_gone)
    if row.status == "completed":
        return _state(row, "available", None, row.ended_at)
    if row.item_id is not None:  # Plex took it later
        return _state(row, "available", None, row.item_since)
    return None if row.error is None else _state(row, "not_found", row.error, row.ended_at)


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
    events.publish(db, Event("media:added", data, download.user_id, ARRIVAL))
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
        "ratingKey": (row.item_key or row.rating_key) if available else None,
        "itemId": row.item_id if available else None,
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
