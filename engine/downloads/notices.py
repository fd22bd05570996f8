"""Telling somebody that a download of theirs has ended."""

from __future__ import annotations

from sqlalchemy.orm import Session

from engine.notifications.notifications import notify
from models.download import Download

_GROUP = "downloads"  # those that end within minutes are told of together


def tell_owner(db: Session, row: Download) -> None:
    """Notify the owner of a download that was completed or failed; of a request's, the request tells itself."""
    if row.status not in {"completed", "failed"} or row.request_id is not None:
        return
    name = row.title or row.url
    done = row.status == "completed"
    notify(
        db,
        row.user_id,
        type=f"download.{row.status}",
        title=f"{name} is downloaded" if done else f"{name} could not be downloaded",
        message="The file is ready." if done else (row.error or {}).get("message", "The download failed."),
        subject=("download", row.id),
        dedupe_key=f"download:{row.id}:{row.epoch}",
        group=_GROUP,
        details={"title": name},
    )
