"""Cleans up behind dead workers: work folders of this host and staged files whose row has ended."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import structlog
from sqlalchemy import ColumnElement, and_, func, not_, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.downloads.budget import disk_is_short
from engine.downloads.publishing import NEAR
from engine.storage.layout import STAGING
from models.download import Download, Preview

log = structlog.get_logger(__name__)

KEPT = timedelta(days=1)  # who finds in the evening what failed overnight still goes on where it stopped


def sweep(db: Session, settings: Settings) -> int:
    """Remove what belongs to ended or vanished rows; returns how many things that were.

    What waits or is worked on stays: its next attempt goes on at the byte where the last one stopped. So does what has
    failed in a way that a person may try again, for a day, unless the disk is short.
    """
    entries = {path: path.name for path in _entries(settings.work_dir)}
    entries |= {path: path.name.partition(".")[0] for path in _entries(settings.download_dir / STAGING)}
    ours = {path: row_id for path, row_id in entries.items() if row_id.startswith(("dl-", "prv-"))}
    if not ours:
        return 0
    over = _over(db, settings, set(ours.values()))
    orphans = [path for path, row_id in ours.items() if row_id in over]
    for path in orphans:
        _remove(path)
        log.info("janitor.removed", row=ours[path])
    return len(orphans)


def _over(db: Session, settings: Settings, ids: set[str]) -> set[str]:
    """Those of the ids whose things nobody wants any more; locked, so that nobody tries one again meanwhile."""
    known: set[str] = set()
    over: set[str] = set()
    for model in (Download, Preview):
        ended: list[ColumnElement[bool]] = [model.id.in_(ids), model.ended_at.is_not(None)]
        if model is Download and not disk_is_short(db, settings):
            ended.append(not_(_may_go_on()))
        known.update(db.scalars(select(model.id).where(model.id.in_(ids))))
        over.update(db.scalars(select(model.id).where(*ended).with_for_update(skip_locked=True)))
    return over | (ids - known)


def _may_go_on() -> ColumnElement[bool]:
    retryable = func.coalesce(Download.error["retryable"].as_boolean(), False)
    lately = Download.ended_at > func.clock_timestamp() - KEPT
    return and_(Download.status == "failed", retryable, lately)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _remove(path: Path) -> None:
    if (
        path.suffix == NEAR and path.is_symlink()
    ):  # of `engine.downloads.publishing`: there is more at the other end
        (path.readlink() / path.stem).unlink(missing_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
