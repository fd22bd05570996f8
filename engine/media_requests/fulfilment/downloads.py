"""By a download of ours: for videos, by the rules of all downloads, as one of who asked for it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.downloads import downloads
from engine.errors import MediaNestError
from engine.media_requests.fulfilment.base import BY_HAND, HandedOn, NotFulfilled
from engine.runtime import Runtime
from models.download import Download
from models.media_request import MediaRequest
from models.user import User


class ByDownload:
    """Makes a download, or takes up the active one of the same wish."""

    def hand_on(
        self, runtime: Runtime, request: MediaRequest, seasons: Sequence[int], actor_id: str | None
    ) -> HandedOn:
        """Ask for the download; if who asked is gone, for who decided.

        Raises:
            NotFulfilled: its URL, host or folder is not allowed any more, or there is nobody to own it.
        """
        with runtime.unit_of_work() as db:
            active = (User.disabled_at.is_(None), User.deleted_at.is_(None))
            people = [one for one in (request.user_id, request.decided_by, actor_id) if one is not None]
            owners = set(db.scalars(select(User.id).where(User.id.in_(people), *active)))
            owner = next((one for one in people if one in owners), None)
            if owner is None:
                raise NotFulfilled(
                    "no_owner",
                    "Neither who asked nor who decided has an account any more.",
                    "Approve it yourself.",
                )
            try:
                row = (
                    _interrupted(db, request, owner)
                    or downloads.create(
                        db,
                        runtime.settings,
                        user_id=owner,
                        url=request.url or "",
                        quality=request.quality,
                        format=request.format,
                        download_path=request.download_path,
                    )[0]
                )
            except MediaNestError as error:
                raise NotFulfilled(
                    error.code.lower(),
                    error.message,
                    "Deny it, or change what downloads may do.",
                    choices=[BY_HAND],
                ) from None
            if db.scalar(select(MediaRequest.id).where(MediaRequest.id == request.id).with_for_update()):
                row.request_id = request.id
            return HandedOn("Its download was started.", {"download_id": row.id})


def _interrupted(db: Session, request: MediaRequest, owner: str) -> Download | None:
    """The download of a dispatch that died before it noted it, though it may be complete meanwhile."""
    query = select(Download).where(
        Download.user_id == owner,
        Download.url_key == request.url_key,
        Download.request_id == request.id,
        Download.status.not_in(("failed", "cancelled")),
        Download.id > (request.download_id or ""),
    )
    return db.scalars(query.order_by(Download.id.desc()).limit(1)).one_or_none()
