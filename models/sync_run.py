"""Syncs with Plex: each run is a job, and its row has its report."""

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
        full: it lists all items, and so detects deletions.
        trigger: schedule, night, manual, push or webhook; `user_id` of a manual one.
        rating_keys: sync these items only; None: all changed ones.
        counts: `{"created", "updated", "deleted", "unchanged"}`.
        sections: one entry per library: how it was read, and the result; a later attempt skips those that are done.
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
    """A run's change of one item: `kind` is added, updated, removed, restored or moved."""

    __tablename__ = "sync_changes"
    __table_args__ = (Index("ix_sync_changes_sync", "sync_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    sync_id: Mapped[str] = mapped_column(ForeignKey("sync_runs.id", ondelete="CASCADE"))
    item_id: Mapped[str]
    kind: Mapped[str]
    type: Mapped[str]
    title: Mapped[str]
