"""What people do with downloads that are there: cancel, try again, remove, put first; one or several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import audit
from engine.audit import Actor, Subject
from engine.downloads import downloads
from engine.errors import Forbidden, MediaNestError
from engine.identity.sessions import Identity
from engine.jobs.lease import waiting
from engine.permissions import Permission
from models.download import Download

Action = Literal["cancel", "retry", "remove", "first"]
ACTIONS: tuple[Action, ...] = get_args(Action)


@dataclass
class Changed:
    """What became of several: how many were changed, and why others were not, each reason once."""

    done: int = 0
    refused: int = 0
    reasons: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Changing:
    """Who changes downloads.

    Attributes:
        db: a unit of work.
        mine: they.
        actor: for the audit log, where the download is somebody else's.
        count: called where some are tried again, which is work for workers and the site; it may refuse.
    """

    db: Session
    mine: Identity
    actor: Actor
    count: Callable[[], None]

    def change(self, download_id: str, action: Action, *, delete_file: bool = False) -> Download:
        """Change one; it is returned as it was if it was removed, else as it is now.

        Raises:
            NotFound: there is none, or it is another user's.
            Conflict: it can't be done in its state.
            Forbidden: only who manages requests puts one first.
        """
        if action == "retry":
            return self.retry(download_id)
        if action == "first":
            return self.put_first(download_id)
        return self.delete(download_id, delete_file=delete_file, only_cancel=action == "cancel")

    def change_each(self, download_ids: Sequence[str], action: Action) -> Changed:
        """Change several, each on its own: one that is refused keeps back no other. They are counted as one."""
        changes, counted = Changed(), list[bool]()

        def count() -> None:
            if not counted:
                self.count()
                counted.append(True)

        several = replace(self, count=count)
        for each in download_ids:
            try:
                with self.db.begin_nested():
                    several.change(each, action)
                changes.done += 1
            except MediaNestError as error:
                changes.refused += 1
                if error.message not in changes.reasons:
                    changes.reasons.append(error.message)
        return changes

    def delete(self, download_id: str, *, delete_file: bool = False, only_cancel: bool = False) -> Download:
        """See `downloads.delete`; others' takes `media.delete`."""
        owner = None if Permission.MEDIA_DELETE in self.mine.permissions else self.mine.user_id
        row = downloads.delete(
            self.db, download_id, owner_id=owner, delete_file=delete_file, only_cancel=only_cancel
        )
        self._note("download.deleted_by_admin", row, status=row.status, file=delete_file)
        return row

    def retry(self, download_id: str) -> Download:
        """See `downloads.retry`."""
        row = downloads.retry(self.db, download_id, owner_id=visible_owner(self.mine))
        self.count()
        self._note("download.retried_by_admin", row)
        return row

    def put_first(self, download_id: str) -> Download:
        """Give one the highest priority of all that wait."""
        if Permission.REQUESTS_MANAGE not in self.mine.permissions:
            raise Forbidden(f"This needs the permission {Permission.REQUESTS_MANAGE.value}.")
        highest = select(Download.priority).where(waiting(Download))
        highest = highest.order_by(Download.priority.desc(), Download.id).limit(1)
        return self.prioritise(download_id, max(self.db.scalar(highest) or 0, 0) + 1)

    def prioritise(self, download_id: str, priority: int) -> Download:
        """See `downloads.set_priority`."""
        row = downloads.set_priority(self.db, download_id, priority)
        self._note("download.priority_changed_by_admin", row, priority=row.priority)
        return row

    def _note(self, action: str, row: Download, **details: Any) -> None:
        """Note in the audit log what is done to another user's download."""
        if row.user_id != self.mine.user_id:
            subject = Subject("download", row.id, row.title)
            audit.record(self.db, action, self.actor, subject, owner=row.user_id, **details)


def visible_owner(mine: Identity) -> str | None:
    """The owner to whose downloads a user is limited: themselves; None for those who may see all."""
    return None if Permission.REQUESTS_MANAGE in mine.permissions else mine.user_id
