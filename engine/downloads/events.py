"""The events of a download and their data."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from engine import events
from engine.arrivals import arrivals
from engine.events import Event
from engine.readers import DOWNLOAD
from models.download import Download


def announce(db: Session, row: Download) -> None:
    """Publish the download's present state as an event, after the commit."""
    name = row.status if row.status in {"completed", "failed", "cancelled"} else "progress"
    events.publish(db, event(row, name, arrivals.states(db, [row]).get(row.id)))


def event(row: Download, name: str, plex: arrivals.State | None = None) -> Event:
    """The event `download:<name>` of a row."""
    passing = name == "progress"
    return Event(
        f"download:{name}", event_data(row, plex), row.user_id, DOWNLOAD, passing=passing, key=row.id
    )


def event_data(row: Download, plex: arrivals.State | None = None) -> dict[str, Any]:
    """Data of events and snapshots: formatted texts, raw numbers (bytes, seconds), and the arrival in Plex."""
    return {
        "id": row.id,
        "progress": round(row.progress, 1),
        "status": row.status,
        "speed": speed_text(row.speed),
        "eta": eta_text(row.eta),
        "title": row.title,
        "url": row.url,
        "attempt": row.attempt,
        "downloadedBytes": row.downloaded_bytes,
        "totalBytes": row.total_bytes,
        "speedBytesPerSecond": row.speed,
        "etaSeconds": row.eta,
        "error": row.error,
        "file": row.file,
        "endedAt": None if row.ended_at is None else events.timestamp(row.ended_at),
        "plex": plex and {**plex, "since": events.timestamp(plex["since"])},
    }


def speed_text(speed: float | None) -> str | None:
    """Bytes per second formatted, such as `1.2 MB/s`."""
    if speed is None:
        return None
    for unit in ("B", "KB", "MB"):
        if speed < 1000:
            return f"{speed:.0f} B/s" if unit == "B" else f"{speed:.1f} {unit}/s"
        speed /= 1000
    return f"{speed:.1f} GB/s"


def eta_text(eta: float | None) -> str | None:
    """Seconds formatted, such as `5m 30s`."""
    if eta is None:
        return None
    minutes, seconds = divmod(round(eta), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {seconds}s" if minutes else f"{seconds}s"
