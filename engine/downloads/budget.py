"""Which download may begin now: shares of hosts and workers, the breaker, the disk."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import ColumnElement, case, false, func, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.downloads.sources import host_breaker
from engine.downloads.sources import urls as source_urls
from engine.job_names import Job
from engine.jobs.owner import this_process
from engine.jobs.pauses import note_block
from models.download import Download
from models.job import JobRow

_held = Download.lease_until.is_not(None)


def limits(db: Session, settings: Settings) -> Sequence[ColumnElement[bool]]:
    """The rows that may begin: of a host with its share running or that asked for a rest none, none on a full disk."""
    if busy_here(db, Download) >= settings.download_concurrency:
        return [false()]
    short = disk_is_short(db, settings)
    note_block(db, Job.DOWNLOAD.queue, "disk" if short else None)
    if short:
        return [false()]
    closed = {*busy_hosts(db, settings), *(host.name for host in host_breaker.throttled(db))}
    return [Download.host.not_in(closed)] if closed else []


def busy_here(db: Session, model: type[JobRow]) -> int:
    """How many rows the siblings of this process hold: children of the same worker on this host."""
    me = this_process()
    siblings = [model.lease_owner[key].as_string() == str(me[key]) for key in ("host", "parent")]
    return db.scalar(select(func.count()).where(model.lease_until.is_not(None), *siblings)) or 0


def busy_hosts(db: Session, settings: Settings) -> Sequence[str]:
    """The hosts of which as many downloads run as may at once."""
    share = case(
        (Download.host == source_urls.YOUTUBE, settings.download_youtube_limit),
        else_=settings.download_host_limit,
    )
    return db.scalars(
        select(Download.host).where(_held).group_by(Download.host).having(func.count() >= share)
    ).all()


def disk_is_short(db: Session, settings: Settings) -> bool:
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
