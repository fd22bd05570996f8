"""Which downloads may be claimed now: limits per host and per worker, throttled hosts, free disk space."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class DiskSpace:
    """A file system that downloads write to; `free`, `total` and `reserve` in bytes, of which the last stay free."""

    folder: Path
    free: int
    total: int
    reserve: int


def limits(db: Session, settings: Settings) -> Sequence[ColumnElement[bool]]:
    """WHERE conditions for claimable rows: no host at its limit or throttled; none at all while the disk is short."""
    if busy_here(db, Download) >= settings.download_concurrency:
        return [false()]
    short = disk_is_short(db, settings)
    note_block(db, Job.DOWNLOAD.queue, "disk" if short else None)
    if short:
        return [false()]
    closed = {*busy_hosts(db, settings), *(host.name for host in host_breaker.throttled(db))}
    return [Download.host.not_in(closed)] if closed else []


def busy_here(db: Session, model: type[JobRow]) -> int:
    """How many rows are leased by pool children of the same worker on this host."""
    me = this_process()
    siblings = [model.lease_owner[key].as_string() == str(me[key]) for key in ("host", "parent")]
    return db.scalar(select(func.count()).where(model.lease_until.is_not(None), *siblings)) or 0


def busy_hosts(db: Session, settings: Settings) -> Sequence[str]:
    """The hosts that run as many downloads as their limit allows."""
    share = case(
        (Download.host == source_urls.YOUTUBE, settings.download_youtube_limit),
        else_=settings.download_host_limit,
    )
    return db.scalars(
        select(Download.host).where(_held).group_by(Download.host).having(func.count() >= share)
    ).all()


def disk_is_short(db: Session, settings: Settings) -> bool:
    """Whether free space, less the bytes that running downloads still need, is below the reserve.

    A missing folder is ignored: this host runs no downloads, or none yet.
    """
    outstanding = select(func.sum(Download.total_bytes - func.coalesce(Download.downloaded_bytes, 0)))
    needed = int(db.scalar(outstanding.where(_held)) or 0)
    return any(
        folder.is_dir() and free_bytes(folder) - needed < reserve_bytes(folder, settings)
        for folder in (settings.download_dir, settings.work_dir)
    )


def disks(settings: Settings) -> list[DiskSpace]:
    """The file systems of download folder and work folder: one where it is the same, none where they are missing."""
    found: dict[int, DiskSpace] = {}
    for folder in (settings.download_dir, settings.work_dir):
        if folder.is_dir():
            usage = shutil.disk_usage(folder)
            space = DiskSpace(folder, usage.free, usage.total, reserve_bytes(folder, settings))
            found.setdefault(folder.stat().st_dev, space)
    return list(found.values())


def free_bytes(folder: Path) -> int:
    """Free bytes on the folder's file system."""
    return shutil.disk_usage(folder).free


def reserve_bytes(folder: Path, settings: Settings) -> int:
    """Bytes that must stay free there: the larger of `disk_reserve_bytes` and `disk_reserve_percent` of the disk."""
    share = shutil.disk_usage(folder).total * settings.disk_reserve_percent // 100
    return max(settings.disk_reserve_bytes, share)
