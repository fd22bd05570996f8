"""Records and publishes what a sync did with single items."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from engine import events
from engine.events import Event
from engine.job_names import Job
from engine.jobs.bell import enqueue
from engine.plex.recognition.staging import Changes
from engine.readers import CATALOGUE
from models.sync_run import SyncChange

MOST_EVENTS = 50  # events of a library, one an item; beyond that one event for all

_EVENT_NAMES = {
    "added": "media:added",
    "restored": "media:added",
    "updated": "media:updated",
    "moved": "media:updated",
    "removed": "media:removed",
}


def record(db: Session, sync_id: str, changes: Sequence[Changes]) -> None:
    """Add changes of single items to the report of the run; whoever asked for one of them learns of it."""
    rows = [
        {"sync_id": sync_id, "item_id": one.item_id, "kind": one.kind, "type": one.type, "title": one.title}
        for some in changes
        for one in some.first
    ]
    if rows:
        db.execute(insert(SyncChange), rows)
        enqueue(db, Job.CHECK_AVAILABILITY)


def moved(db: Session, sync_id: str, item_ids: Sequence[str]) -> None:
    """Turn recorded removals into moves."""
    which = (SyncChange.sync_id == sync_id, SyncChange.item_id.in_(item_ids))
    db.execute(delete(SyncChange).where(*which, SyncChange.kind == "removed"))


def publish(db: Session, changes: Sequence[Changes], *, quiet: bool) -> None:
    """Publish the changes; those of a new library, or very many, as one event."""
    for some in changes:
        if quiet or some.total > MOST_EVENTS:
            names = {_EVENT_NAMES[one.kind] for one in some.first[:1]}
            for name in names:
                events.publish(db, Event(name, {"count": some.total}, None, CATALOGUE))
            continue
        for one in some.first:
            data = {"id": one.item_id, "type": one.type, "title": one.title, "count": 1}
            events.publish(db, Event(_EVENT_NAMES[one.kind], data, None, CATALOGUE))
