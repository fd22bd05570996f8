"""The history of a request with what goes on right now, and one sentence that says why it is not there yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.arrivals import arrivals
from engine.media_requests.availability import Availability
from engine.media_requests.fulfilment import work as fulfilment_work
from engine.media_requests.listing import RequestView
from models.download import Download
from models.media_request import MediaRequest, RequestStep
from models.user import User


@dataclass(frozen=True)
class TimelineEntry:
    """Something that happened to a request; `by`: the name of who caused it, None: the server."""

    at: datetime
    step: str
    text: str
    by: str | None
    correlation_id: str | None


def of(db: Session, request: MediaRequest) -> list[TimelineEntry]:
    """Every step, the oldest first; then what its download does now."""
    found = [*_steps(db, request), *_download(db, request)]
    return sorted(found, key=lambda entry: entry.at)


def waiting_for(db: Session, view: RequestView) -> str | None:
    """Why it is not there yet, in a sentence; None where it is there, or never will be."""
    request = view.request
    if request.status == "pending":
        return "It waits for somebody to decide."
    if request.status == "approved":
        return fulfilment_work.trouble(db, request) or "It was approved, and is handed on this moment."
    if request.status == "failed":
        error = request.error or {}
        return " ".join(part for part in (error.get("message"), error.get("advice")) if part) or "It failed."
    if request.status != "processing":
        return None
    if request.download_id is not None:
        return _of_download(db.get(Download, request.download_id))
    if request.by == "hand":
        return "Somebody who looks after the server adds it by hand."
    where = "Overseerr" if request.by == "overseerr" else "the library"
    left = _left(view)
    if left:
        return f"{left} It comes as soon as {where} has it, and Plex has seen it."
    if request.upstream == "available":
        return "Overseerr says that it is there; Plex has not shown it yet."
    return f"{where[0].upper()}{where[1:]} looks for it. It is there once Plex has it."


def _left(view: RequestView) -> str | None:
    """Which episodes are missing of the seasons that were asked for."""
    there: Availability = view.availability
    asked = {season.number for season in view.seasons}
    some = [season for season in there.seasons if season.number in asked and season.available]
    if not some:
        return None
    parts = [f"{season.available} of {season.episodes} episodes of season {season.number}" for season in some]
    return f"There are {', '.join(parts)}."


def _of_download(download: Download | None) -> str:
    if download is None:
        return "Its download was removed: whoever decided may have it fetched again."
    share = f" ({download.progress:.0f} %)" if download.progress else ""
    words = {
        "queued": "Its download waits for its turn.",
        "downloading": f"It is being downloaded{share}.",
        "processing": "It was downloaded, and is being processed.",
        "completed": "It was downloaded; Plex has not shown it yet.",
        "failed": "Its download failed.",
        "cancelled": "Its download was cancelled.",
    }
    return words[download.status]


def _steps(db: Session, request: MediaRequest) -> Sequence[TimelineEntry]:
    query = (
        select(RequestStep, User.name)
        .outerjoin(User, (User.id == RequestStep.user_id) & User.deleted_at.is_(None))
        .where(RequestStep.request_id == request.id)
        .order_by(RequestStep.id)
    )
    return [
        TimelineEntry(step.created_at, step.step, step.text, name, step.correlation_id)
        for step, name in db.execute(query)
    ]


def _download(db: Session, request: MediaRequest) -> Sequence[TimelineEntry]:
    """What became of its download so far: began, how far it is, processed, seen in Plex."""
    download = None if request.download_id is None else db.get(Download, request.download_id)
    if download is None:
        return []
    found = []
    if download.downloading_at is not None:
        share = f"{download.progress:.0f} %" if download.status == "downloading" else "done"
        found.append((download.downloading_at, "downloading", f"Downloading: {share}."))
    if download.processing_at is not None:
        found.append((download.processing_at, "downloaded", "Downloaded, and processed."))
    if download.ended_at is not None and download.status == "completed":
        found.append((download.ended_at, "processed", "The file is in its folder."))
        plex = arrivals.states(db, [download]).get(download.id)
        if plex is not None and plex["state"] != "available":
            found.append((datetime.now(UTC), "scanning", "Plex was asked to look for it."))
    return [TimelineEntry(at, step, text, None, download.correlation_id) for at, step, text in found]
