"""Syncs with Plex: each run is a job, and its row is its report."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.job import JobRow, job_indexes


class SyncRun(JobRow, Base):
    """One run; `status` is one of queued, running, completed, failed, cancelled.

    Attributes:
        full: lists everything, and so sees what is gone.
        trigger: schedule, night, manual, push or webhook; `user_id` of a manual one.
        rating_keys: only these items; None: all that has changed.
        counts: `{"created", "updated", "deleted", "unchanged"}`.
        sections: one entry a library, with how it was looked at and what came of it; a later attempt goes on
            behind those that are done.
    """

    __tablename__ = "sync_runs"
    __table_args__ = job_indexes("sync_runs")

    full: Mapped[bool]
    trigger: Mapped[str]
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    server_id: Mapped[str | None]
    rating_keys: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    counts: Mapped[dict[str, Any]]
    sections: Mapped[list[Any]] = mapped_column(JSONB)


class SyncChange(Base):
    """What a run did with one item: `kind` is added, updated, removed, restored or moved."""

    __tablename__ = "sync_changes"
    __table_args__ = (Index("ix_sync_changes_sync", "sync_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    sync_id: Mapped[str] = mapped_column(ForeignKey("sync_runs.id", ondelete="CASCADE"))
    item_id: Mapped[str]
    kind: Mapped[str]
    type: Mapped[str]
    title: Mapped[str]
