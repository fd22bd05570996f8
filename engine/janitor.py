"""Cleans up behind dead workers: work folders of this host and staged files whose row has ended."""

from __future__ import annotations

import shutil
from pathlib import Path

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.downloads import STAGING
from engine.publishing import NEAR
from models.download import Download, Preview

log = structlog.get_logger(__name__)


def sweep(db: Session, settings: Settings) -> int:
    """Remove what belongs to ended or vanished rows; returns how many things that were.

    What waits or is worked on stays: its next attempt goes on at the byte where the last one stopped.
    """
    entries = {path: path.name for path in _entries(settings.work_dir)}
    entries |= {path: path.name.partition(".")[0] for path in _entries(settings.download_dir / STAGING)}
    ours = {path: row_id for path, row_id in entries.items() if row_id.startswith(("dl-", "prv-"))}
    if not ours:
        return 0
    alive: set[str] = set()
    for model in (Download, Preview):
        query = select(model.id).where(model.id.in_(ours.values()), model.ended_at.is_(None))
        alive.update(db.scalars(query))
    orphans = [path for path, row_id in ours.items() if row_id not in alive]
    for path in orphans:
        _remove(path)
        log.info("janitor.removed", row=ours[path])
    return len(orphans)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _remove(path: Path) -> None:
    if path.suffix == NEAR and path.is_symlink():  # of `engine.publishing`: there is more at the other end
        (path.readlink() / path.stem).unlink(missing_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
