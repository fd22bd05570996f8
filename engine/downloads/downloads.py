"""Downloads as the API offers them: create, list, get, cancel, delete, retry, prioritise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, case, func, select, update
from sqlalchemy import delete as sql_delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.correlation import correlation_id
from engine.downloads import requested
from engine.downloads.events import announce
from engine.errors import Conflict, NotFound, Unauthorized
from engine.job_names import Job
from engine.jobs.bell import enqueue
from engine.jobs.kinds import forget_marks
from models.base import new_id
from models.download import Download, FileRemoval
from models.user import User

STATUSES = ("queued", "downloading", "processing", "completed", "failed", "cancelled")

_now = func.clock_timestamp


def create(
    db: Session,
    settings: Settings,
    *,
    user_id: str,
    url: str,
    quality: str | None = None,
    format: str | None = None,  # noqa: A002 - the API's word
    download_path: str | None = None,
) -> tuple[Download, bool]:
    """Ask for a video; the row is made at once, everything else is the job's.

    Returns:
        The row, and whether it is new: the same wish of the same user that is still active is not made twice.

    Raises:
        ValidationFailed: the URL is malformed or its host not allowed, the choices contradict each other, or the
            path leaves `DOWNLOAD_DIR`.
        Unauthorized: the user was disabled or deleted this moment.
    """
    values = requested.row(
        settings, user_id=user_id, url=url, quality=quality, format=format, download_path=download_path
    )
    hold_user(db, user_id)
    row, is_new = _added_or_active(db, values)
    if is_new:
        enqueue(db, Job.DOWNLOAD)
    return row, is_new


def _added_or_active(db: Session, values: Mapping[str, Any]) -> tuple[Download, bool]:
    """A new row, or the active one of the same wish; tries again where that one ends between the two statements."""
    wish = {name: values[name] for name in ("user_id", "url_key", "quality", "format")}
    insertion = insert(Download).values(values).on_conflict_do_nothing().returning(Download)
    active = select(Download).filter_by(**wish).where(Download.ended_at.is_(None))
    while True:
        row = db.scalars(insertion).one_or_none()
        if row is not None:
            return row, True
        row = db.scalars(active).one_or_none()
        if row is not None:
            return row, False


def get(db: Session, download_id: str, *, owner_id: str | None) -> Download:
    """One download.

    Raises:
        NotFound: there is none, or it is another user's.
    """
    return _find(db, download_id, owner_id, lock=False)


def delete(
    db: Session,
    download_id: str,
    *,
    owner_id: str | None,
    delete_file: bool = False,
    only_cancel: bool = False,
) -> Download:
    """Cancel an active download; delete the row of an ended one, unless `only_cancel`.

    A queued one is cancelled at once, a running one by its worker within 3 s. With `delete_file`, a job on a host
    that has the download folder removes the file of a deleted row.

    Returns:
        The cancelled row as it is now, or the deleted row as it was.

    Raises:
        NotFound: there is none, or it is another user's.
        Conflict: its file is being published right now, or `only_cancel` and it has ended.
    """
    row = _find(db, download_id, owner_id, lock=True)
    if row.ended_at is not None:
        if only_cancel:
            raise Conflict(f"It has ended already: {row.status}.")
        if delete_file and row.file is not None:
            _remove_file(db, row)
        db.execute(sql_delete(Download).where(Download.id == row.id))
        db.expunge(row)
        return row
    if row.publishing is not None:
        raise Conflict("The file is being put in place this moment: wait for it, then delete it.")
    (row,) = _cancel(db, Download.id == row.id)
    return row


def cancel_all(db: Session, user_id: str) -> int:
    """Cancel a user's active downloads, except those whose file is being published; returns how many."""
    return len(_cancel(db, Download.user_id == user_id))


def retry(db: Session, download_id: str, *, owner_id: str | None) -> Download:
    """Queue a failed or cancelled download again with all its attempts; cut a queued one's pause before a retry short.

    Bytes that a failed one has fetched are reused on the host that has them (`engine.downloads.cleanup`).

    Raises:
        NotFound: there is none, or it is another user's.
        Conflict: it is completed, or active without such a pause; or another row downloads the same video.
    """
    row = _find(db, download_id, owner_id, lock=True)
    if row.status == "queued" and row.next_run_at > (db.scalar(select(_now())) or row.next_run_at):
        return _begin_now(db, row)
    if row.status not in {"failed", "cancelled"}:
        raise Conflict(f"Only a failed or cancelled download can be tried again; this one is {row.status}.")
    row.status, row.attempt, row.crash_count, row.progress = "queued", 0, 0, 0
    row.error = row.ended_at = row.cancel_requested_at = row.started_at = None
    row.downloading_at = row.processing_at = row.speed = row.eta = None
    row.downloaded_bytes = row.total_bytes = None
    row.lease_owner = forget_marks(row.lease_owner)
    row.next_run_at = _now()
    row.correlation_id = correlation_id() or row.correlation_id
    try:
        db.flush()
    except IntegrityError:
        raise Conflict("The same video is already being downloaded.") from None
    db.refresh(row)
    enqueue(db, Job.DOWNLOAD)
    announce(db, row)
    return row


def _begin_now(db: Session, row: Download) -> Download:
    """Cut the pause before the next attempt short; counted attempts stay counted."""
    row.next_run_at = _now()
    db.flush()
    db.refresh(row)
    enqueue(db, Job.DOWNLOAD)
    announce(db, row)
    return row


def set_priority(db: Session, download_id: str, priority: int) -> Download:
    """Set the priority of a queued download: larger begins earlier, the default is 0.

    Raises:
        NotFound: there is none.
        Conflict: it is not queued any more.
    """
    row = _find(db, download_id, None, lock=True)
    if row.status != "queued":
        raise Conflict(f"Only a queued download has a priority; this one is {row.status}.")
    row.priority = priority
    db.flush()
    enqueue(db, Job.DOWNLOAD)
    return row


def _find(db: Session, download_id: str, owner_id: str | None, *, lock: bool) -> Download:
    query = select(Download).where(Download.id == download_id)
    if owner_id is not None:
        query = query.where(Download.user_id == owner_id)
    row = db.scalars(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound("There is no such download.")
    return row


def _cancel(db: Session, which: ColumnElement[bool]) -> Sequence[Download]:
    """End queued rows, request cancellation of leased ones, publish an event for each; returns the updated rows."""
    waits = Download.lease_until.is_(None)
    rows = db.scalars(
        update(Download)
        .where(which, Download.ended_at.is_(None), Download.publishing.is_(None))
        .values(
            status=case((waits, "cancelled"), else_=Download.status),
            ended_at=case((waits, _now())),
            next_run_at=case((waits, _now()), else_=Download.next_run_at),
            cancel_requested_at=func.coalesce(Download.cancel_requested_at, _now()),
        )
        .returning(Download),
        execution_options={"synchronize_session": False, "populate_existing": True},
    ).all()
    for row in rows:
        announce(db, row)
    return rows


def hold_user(db: Session, user_id: str) -> None:
    """Lock the user's row (FOR KEY SHARE), so that they are not disabled or deleted before this unit has ended.

    Raises:
        Unauthorized: they have been.
    """
    live = select(User.id).where(User.id == user_id, User.disabled_at.is_(None))
    if db.scalar(live.with_for_update(read=True, key_share=True)) is None:
        raise Unauthorized("This account has just been closed.")


def _remove_file(db: Session, row: Download) -> None:
    assert row.file is not None
    # Rows completed by a release before `published` existed have the size only.
    removal = FileRemoval(
        id=new_id("rm"),
        status="queued",
        path=row.file["path"],
        download_id=row.id,
        identity=row.published or {"size": row.file["size"]},
        correlation_id=correlation_id(),
    )
    db.add(removal)
    enqueue(db, Job.REMOVE_FILE)
