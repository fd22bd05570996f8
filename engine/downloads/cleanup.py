"""Removes what dead workers left: work folders on this host, and staged files, whose row has ended."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import structlog
from sqlalchemy import ColumnElement, and_, func, not_, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.downloads.budget import disk_is_short
from engine.downloads.publishing import MARKER_SUFFIX
from engine.storage.layout import STAGING
from models.download import Download, Preview

log = structlog.get_logger(__name__)

RETRYABLE_KEPT = timedelta(days=1)  # a download that failed overnight can be resumed the next evening


def sweep(db: Session, settings: Settings) -> int:
    """Remove work folders and staged files of ended or deleted rows; returns how many were removed.

    Those of queued and running rows stay: the next attempt resumes from their bytes. Those of downloads that failed
    with a retryable error stay for `RETRYABLE_KEPT`, unless the disk is short.
    """
    row_ids_by_path = {path: path.name for path in _entries(settings.work_dir)}
    row_ids_by_path |= {
        path: path.name.partition(".")[0] for path in _entries(settings.download_dir / STAGING)
    }
    ours = {path: row_id for path, row_id in row_ids_by_path.items() if row_id.startswith(("dl-", "prv-"))}
    if not ours:
        return 0
    removable = _removable(db, settings, set(ours.values()))
    orphans = [path for path, row_id in ours.items() if row_id in removable]
    for path in orphans:
        _remove(path)
        log.info("janitor.removed", row=ours[path])
    return len(orphans)


def _removable(db: Session, settings: Settings, ids: set[str]) -> set[str]:
    """Those ids whose files may go; their rows are locked (SKIP LOCKED), so that none is retried meanwhile."""
    known: set[str] = set()
    removable: set[str] = set()
    for model in (Download, Preview):
        ended: list[ColumnElement[bool]] = [model.id.in_(ids), model.ended_at.is_not(None)]
        if model is Download and not disk_is_short(db, settings):
            ended.append(not_(_is_resumable()))
        known.update(db.scalars(select(model.id).where(model.id.in_(ids))))
        removable.update(db.scalars(select(model.id).where(*ended).with_for_update(skip_locked=True)))
    return removable | (ids - known)


def _is_resumable() -> ColumnElement[bool]:
    retryable = func.coalesce(Download.error["retryable"].as_boolean(), False)
    lately = Download.ended_at > func.clock_timestamp() - RETRYABLE_KEPT
    return and_(Download.status == "failed", retryable, lately)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _remove(path: Path) -> None:
    # A marker of `engine.downloads.publishing` links to a second staging folder, which holds the staged file.
    if path.suffix == MARKER_SUFFIX and path.is_symlink():
        (path.readlink() / path.stem).unlink(missing_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
