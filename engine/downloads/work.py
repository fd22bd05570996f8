"""The download job: one attempt, from a claimed row to a published file."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from config.settings import Settings
from engine.arrivals import arrivals
from engine.clients.fetch_errors import FetchError
from engine.clients.fetch_signals import Fetched, FetchSpec
from engine.clients.media.binaries import ffmpeg_path
from engine.clients.ytdlp.entry import fetch
from engine.downloads import budget as download_budget
from engine.downloads import publishing
from engine.downloads import turns as download_turns
from engine.downloads.events import announce
from engine.downloads.notices import tell_owner
from engine.downloads.progress import AttemptMonitor
from engine.downloads.sources import cookies, host_breaker
from engine.downloads.sources import urls as source_urls
from engine.errors import ValidationFailed
from engine.job_names import Job
from engine.jobs import lease
from engine.jobs.attempt_process import OverMemory, run_isolated
from engine.jobs.bell import enqueue
from engine.jobs.kinds import SINCE, JobKind, growing_pause
from engine.jobs.lease import CancelRequested, now
from engine.jobs.runner import Attempt, GiveUp, Retry
from engine.storage.filenames import final_name
from models.download import Download

log = structlog.get_logger(__name__)

_RECHECK_SECONDS = 60.0  # pause before a retry while the disk is full or the network down
_OFFLINE_UNCOUNTED = timedelta(days=1)  # offline attempts count after this, as it may be the site
_LEAST_STEP = 1 << 20  # bytes of progress, where the total is unknown
# What ffmpeg prints when it reaches the attempt's memory limit.
_NO_MEMORY = re.compile(r"annot allocate memory|malloc of size \d+ failed")


def _on_status_change(db: Session, row: Download) -> None:
    download_turns.note(db, row)
    if row.status == "completed":
        host_breaker.forgive(db, row.host)
        arrivals.wake(db, row.id)
    if row.ended_at is not None and row.request_id is not None:
        enqueue(db, Job.CHECK_AVAILABILITY)
    tell_owner(db, row)
    announce(db, row)


def _step(row: Download) -> float:
    """Bytes of progress that make an attempt uncounted: 1 % of the whole, so at most a hundred go uncounted."""
    if row.total_bytes:
        return max(row.total_bytes, row.downloaded_bytes or 0) / 100
    return max(_LEAST_STEP, (row.downloaded_bytes or 0) / 100)


DOWNLOAD = JobKind(
    job=Job.DOWNLOAD,
    model=Download,
    running="downloading",
    on_claim={"downloading_at": now(), "yielded_at": None, "speed": None, "eta": None},
    long=True,
    limits=download_budget.limits,
    first=download_turns.first,
    attempts=lambda settings: settings.download_attempts,
    pause=lambda settings, attempt: growing_pause(
        settings.download_retry_seconds, settings.download_retry_max_seconds, attempt
    ),
    changed=_on_status_change,
    reach=lambda row: row.downloaded_bytes or 0,
    step=_step,
)


def work(attempt: Attempt[Download]) -> Mapping[str, Any]:
    """Fetch the video in a process of its own and publish the file; returns the columns of the completed row.

    Raises:
        Retry, GiveUp: by the error's retry class, see `failure`.
        Fenced, CancelRequested, ShuttingDown, Crashed: see `engine.jobs`.
    """
    folder = attempt.runtime.settings.work_dir / attempt.row.id
    file = publishing.resume(attempt)
    try:
        if file is None:
            file = _fetch_and_publish(attempt, folder)
    except (CancelRequested, GiveUp) as end:
        publishing.discard(attempt)
        if isinstance(end, CancelRequested) or not end.error["retryable"]:
            # Otherwise a retry resumes it; see `engine.downloads.cleanup`.
            shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    _create_arrival(attempt)
    return {"file": file, "progress": 100.0, "publishing": None, "speed": None, "eta": None}


def _create_arrival(attempt: Attempt[Download]) -> None:
    """Insert the arrival: the job that waits for Plex to have the file, once the download is completed.

    Inserted before completion, in a unit fenced by this epoch: so each completed download has exactly one.
    """
    runtime = attempt.runtime
    if not runtime.settings.plex_enabled:
        return
    for again in Retrying(
        retry=retry_if_exception_type(DBAPIError),
        wait=wait_random_exponential(0.2, max=2),
        stop=stop_after_delay(DOWNLOAD.lease(runtime.settings)),
        reraise=True,
    ):
        with again, runtime.unit_of_work() as db:
            if arrivals.create(db, runtime.settings, attempt.row.id):
                lease.write(db, DOWNLOAD, attempt.row, progress=100.0)


def _fetch_and_publish(attempt: Attempt[Download], folder: Path) -> dict[str, Any]:
    settings, row = attempt.runtime.settings, attempt.row
    folder.mkdir(parents=True, exist_ok=True)
    monitor = AttemptMonitor(attempt)
    spec = FetchSpec(
        url=_normal_url(row, settings),
        quality=row.quality,
        format=row.format,
        work_dir=folder,
        ffmpeg=ffmpeg_path(),
        embed=settings.download_embed,
        generic=row.host != source_urls.YOUTUBE,
        max_bytes=settings.download_max_bytes or None,
        max_seconds=settings.download_max_seconds or None,
        allow_private=settings.download_allow_private_networks,
        cookies=cookies.for_attempt(attempt.runtime),
    )
    try:
        fetched: Fetched = run_isolated(
            attempt,
            fetch,
            spec,
            on_signal=monitor.on_signal,
            silence_limit=monitor.stall_seconds,
            on_beat=monitor.on_beat,
            deadline=settings.download_attempt_seconds or None,
        )
    except FetchError as error:
        if _NO_MEMORY.search(error.detail):
            raise OverMemory from error
        log.warning("download.fetch_failed", kind=error.kind, detail=error.detail)
        if error.retry == "throttled":
            pause = max(settings.download_throttle_seconds, error.retry_after or 0.0)
            with attempt.runtime.unit_of_work() as db:
                host_breaker.throttle(db, row.host, error.kind, pause)
        raise failure(error, row, settings) from error
    name = final_name(fetched.metadata.title, fetched.metadata.source_id, fetched.container)
    facts = {"container": fetched.container, "height": fetched.height, "duration": fetched.duration}
    try:
        return publishing.publish(attempt, fetched.path, name, facts)
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        reason = FetchError("disk_full" if full else "storage", detail=error.strerror or type(error).__name__)
        log.warning("download.not_published", kind=reason.kind, detail=reason.detail)
        publishing.discard(attempt)
        raise failure(reason, row, settings) from error


def _normal_url(row: Download, settings: Settings) -> str:
    """The normal form of the URL, which is the one that was validated."""
    try:
        return source_urls.meaning(row.url).normal
    except ValidationFailed as error:  # accepted by an earlier release
        raise failure(FetchError("unsupported", detail=str(error)), row, settings) from error


def failure(error: FetchError, row: Download, settings: Settings) -> Retry | GiveUp:
    """The exception that a failed fetch ends the attempt with, by its retry class (`engine.clients.fetch_errors`)."""
    error_column = {
        "kind": error.kind,
        "message": error.message,
        "advice": error.advice,
        "retryable": error.retry != "never",
    }
    if error.retry == "never":
        return GiveUp(error_column)
    known = row.error is not None and row.error["kind"] == error.kind
    if error.retry == "again_once" and known and not DOWNLOAD.got_further(row):
        return GiveUp(error_column | {"advice": error.given_up})
    if error.retry == "throttled":  # the host's breaker holds back all its downloads
        return Retry(error_column, 0.0, given_up=error.given_up)
    if error.retry == "later":
        return Retry(error_column, settings.download_throttle_seconds, counts=False)
    if error.retry == "shortly":
        counts = error.kind == "offline" and _is_stuck_for_long(row)
        return Retry(
            error_column, None if counts else _RECHECK_SECONDS, counts=counts, given_up=error.given_up
        )
    return Retry(error_column, error.retry_after, limit=error.kind == "too_slow", given_up=error.given_up)


def _is_stuck_for_long(row: Download) -> bool:
    """Whether the download has made no progress for `_OFFLINE_UNCOUNTED`."""
    since = (row.lease_owner or {}).get(SINCE)
    begun = row.started_at if since is None else datetime.fromtimestamp(since, UTC)
    return begun is not None and datetime.now(UTC) - begun > _OFFLINE_UNCOUNTED


__all__ = ["DOWNLOAD", "failure", "work"]
