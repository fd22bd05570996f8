"""Notifications to admins about syncs: the first failure, and deletions that were held back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.notifications.notifications import notify
from engine.permissions import LOWEST_ROLE, ROLES, Permission
from engine.plex.sync.library_pass import FAILED, Report
from models.sync_run import SyncRun
from models.user import User


def failed(db: Session, run: SyncRun) -> None:
    """Notify of a failed sync, where the one before did not fail; not again until one has completed."""
    before = select(SyncRun.status).where(SyncRun.id < run.id, SyncRun.status.in_(["completed", "failed"]))
    if db.scalar(before.order_by(SyncRun.id.desc()).limit(1)) == "failed":
        return
    error = run.error or {}
    words = f"{error.get('message', '')} {error.get('advice', '')}".strip()
    _tell(db, run, "sync.failed", "The sync with Plex failed", words, run.id)


def partly_failed(db: Session, run: SyncRun) -> None:
    """Notify of a sync that could not read some libraries, where the one before could."""
    failed = _failed_libraries(run.sections)
    last = select(SyncRun.sections).where(
        SyncRun.id < run.id, SyncRun.status == "completed", SyncRun.rating_keys.is_(None)
    )
    before = db.scalar(last.order_by(SyncRun.id.desc()).limit(1)) or []
    if failed.keys() <= _failed_libraries(before).keys():
        return
    title = f"{', '.join(failed)} could not be read from Plex"
    _tell(db, run, "sync.failed", title, " ".join(dict.fromkeys(failed.values())), run.id)


def held_back(db: Session, run: SyncRun, server_id: str, report: Report) -> None:
    """Notify of deletions that were held back, since too much of a library is missing."""
    title = f"Many items are gone from {report.title or 'Plex'}"
    about = f"{server_id}:{report.key}:{report.held_back}"
    _tell(db, run, "sync.held_back", title, report.note or "", about)


def _failed_libraries(lines: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The errors of the libraries that failed, by title."""
    return {line["title"]: line["note"] or "" for line in lines if line.get("mode") == FAILED}


def _tell(db: Session, run: SyncRun, kind: str, title: str, message: str, about: str) -> None:
    lowest = ROLES.index(LOWEST_ROLE[Permission.INTEGRATIONS_CONFIGURE])
    admins = select(User.id).where(
        User.role.in_(ROLES[lowest:]), User.disabled_at.is_(None), User.deleted_at.is_(None)
    )
    for user_id in db.scalars(admins).all():
        notify(
            db,
            user_id,
            type=kind,
            title=title,
            message=message,
            subject=("sync", run.id),
            dedupe_key=f"{kind}:{about}",
        )
