"""Arrivals as the API shows them: whether a finished download can be watched in Plex, and if not, why."""

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

SEARCH_TIME = timedelta(minutes=10)

State = dict[str, Any]

_NOT_NOTIFIED = {"outside"}  # reasons that come from the configuration, the same for every download
_REMOVED = {
    "kind": "removed",
    "message": "It was in Plex and is not there any more.",
    "advice": "Look whether its file still lies in the library's folder.",
}

_now = func.clock_timestamp
_arrival, _item = PlexArrival.__table__.c, MediaItem.__table__.c


def create(db: Session, settings: Settings, download_id: str) -> bool:
    """Insert the arrival of a download, or renew its deadline; False if no Plex server is configured.

    Call it as the last step before the download is completed, in a unit fenced by the download's epoch. The job
    waits until the download's status is `completed`.
    """
    if not _is_configured(db, settings):
        return False
    times = {"created_at": _now(), "deadline": _now() + SEARCH_TIME}
    query = insert(PlexArrival).values(
        id=new_id("arr"),
        download_id=download_id,
        status="queued",
        server_id="",  # server and library are found by the first check
        section_key="",
        path="",
        correlation_id=correlation_id(),
        **times,
    )
    db.execute(query.on_conflict_do_update(index_elements=["download_id"], set_=times))
    return True


def wake(db: Session, download_id: str) -> None:
    """Ring for the arrival of a download that has just been completed, if it has one."""
    if db.scalar(select(PlexArrival.id).where(PlexArrival.download_id == download_id)) is not None:
        enqueue(db, Job.ARRIVE)


def any_exist() -> ColumnElement[bool]:
    """A column for queries of downloads: whether there are arrivals at all, so that `states` is worth a query."""
    return exists(select(_arrival.id))


def states(db: Session, rows: Iterable[Any]) -> Mapping[str, State]:
    """State by id, of the downloads that were completed while Plex was configured.

    A state is `{state, available, ratingKey, itemId, reason, since}`, where `state` is waiting, available or
    not_found, and `since` is a datetime. Rows need the columns id and status.
    """
    completed = [row.id for row in rows if row.status == "completed"]
    if not completed:
        return {}
    found = {row.download_id: _state_of(row) for row in db.execute(_query(), {"ids": completed})}
    return {download_id: state for download_id, state in found.items() if state is not None}


@cache
def _query() -> Select[Any]:
    """SELECT of arrivals with their catalogue items by an array of ids: one text, so that it stays prepared."""
    items, ids = MediaItem.__table__, bindparam("ids", type_=ARRAY(Text))
    columns = (
        _arrival.download_id,
        _arrival.status,
        _arrival.error,
        _arrival.rating_key,
        _arrival.created_at,
    )
    late = items.alias("late")
    # The item that was found; otherwise one that came into the catalogue later with the same file.
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


def _state_of(row: Any) -> State | None:
    """The state of a row of `_query`; None if its file is not expected in Plex."""
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
    """When an arrival ends, publish `media:added` and notify the owner, in the unit that ends it."""
    if row.ended_at is None or (row.status == "cancelled" and row.error is None):
        return
    download = db.get(Download, row.download_id)
    if download is None:
        return
    if download.request_id is not None:
        enqueue(db, Job.CHECK_AVAILABILITY)
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
        "reason": None if available else _public_reason(row.error),
    }
    events.publish(db, Event("media:added", data, download.user_id, ARRIVAL))
    if available:
        _notify(db, download, "available", f"{_title(download)} can be watched now", _where(db, row))
    elif row.error is not None and row.error["kind"] not in _NOT_NOTIFIED:
        reason = f"{row.error['message']} {row.error['advice']}"
        _notify(db, download, "not_in_plex", f"{_title(download)} is not in Plex", reason)


def _state(row: Any, name: str, reason: Any, since: Any) -> State:
    available = name == "available"
    return {
        "state": name,
        "available": available,
        "ratingKey": (row.item_key or row.rating_key) if available else None,
        "itemId": row.item_id if available else None,
        "reason": _public_reason(reason),
        "since": since,
    }


def _public_reason(reason: Any) -> dict[str, str] | None:
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
        return True  # configured, but its token can't be decrypted: the job reports that
