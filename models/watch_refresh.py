"""Watch states that are to be read from Plex again: one job row a user."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.job import JobRow, job_indexes


class WatchRefresh(JobRow, Base):
    """The job that reads a user's watch states from Plex; an ended row is queued again at their next request.

    `status` is one of queued, running, completed, failed, cancelled.
    """

    __tablename__ = "watch_refreshes"
    __table_args__ = job_indexes("watch_refreshes")

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), unique=True)
