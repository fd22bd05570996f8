"""Which download may begin now, and which comes first: shares of hosts and workers, the breaker, the disk."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, case, false, func, literal, select
from sqlalchemy.orm import Session, aliased

from config.settings import Settings
from engine import source_hosts, source_urls
from engine.jobs.names import Job
from engine.jobs.owner import this_process
from engine.jobs.pauses import note_block
from models.download import Download

_held = Download.lease_until.is_not(None)


def limits(db: Session, settings: Settings) -> Sequence[ColumnElement[bool]]:
    """The rows that may begin: of a host with its share running or that asked for a rest none, none on a full disk."""
    if _busy_here(db) >= settings.download_concurrency:
        return [false()]
    short = _disk_is_short(db, settings)
    note_block(db, Job.DOWNLOAD.queue, "disk" if short else None)
    if short:
        return [false()]
    closed = {*_busy_hosts(db, settings), *(host.name for host in source_hosts.throttled(db))}
    return [Download.host.not_in(closed)] if closed else []


def order() -> Sequence[ColumnElement[Any]]:
    """By priority; then whoever has the fewest running; then the oldest."""
    running = aliased(Download)
    own = (
        select(func.count(literal(1)))
        .where(running.user_id == Download.user_id, running.lease_until.is_not(None))
        .scalar_subquery()
    )
    return [Download.priority.desc(), own]


def _busy_here(db: Session) -> int:
    """How many rows the siblings of this process hold: children of the same worker on this host."""
    me = this_process()
    siblings = [Download.lease_owner[key].as_string() == str(me[key]) for key in ("host", "parent")]
    return db.scalar(select(func.count()).where(_held, *siblings)) or 0


def _busy_hosts(db: Session, settings: Settings) -> Sequence[str]:
    share = case(
        (Download.host == source_urls.YOUTUBE, settings.download_youtube_limit),
        else_=settings.download_host_limit,
    )
    return db.scalars(
        select(Download.host).where(_held).group_by(Download.host).having(func.count() >= share)
    ).all()


def _disk_is_short(db: Session, settings: Settings) -> bool:
    """Whether what is free, less what the running downloads still need, falls below the reserve.

    A folder that is not there says nothing: this host does not work on downloads, or has not begun to.
    """
    outstanding = select(func.sum(Download.total_bytes - func.coalesce(Download.downloaded_bytes, 0)))
    needed = int(db.scalar(outstanding.where(_held)) or 0)
    return any(
        folder.is_dir() and free_bytes(folder) - needed < reserve_bytes(folder, settings)
        for folder in (settings.download_dir, settings.work_dir)
    )


def free_bytes(folder: Path) -> int:
    """What is free on the file system of a folder."""
    return shutil.disk_usage(folder).free


def reserve_bytes(folder: Path, settings: Settings) -> int:
    """What must stay free there: the larger of a number of bytes and a share of the whole."""
    share = shutil.disk_usage(folder).total * settings.disk_reserve_percent // 100
    return max(settings.disk_reserve_bytes, share)
