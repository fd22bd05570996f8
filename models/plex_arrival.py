"""Arrivals: jobs that wait until Plex has a completed download's file."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.job import JobRow, job_indexes


class PlexArrival(JobRow, Base):
    """A file that Plex should add; `status` is one of queued, running, completed, failed, cancelled.

    Attributes:
        path: the file's path on the Plex server. section_key: the library whose folder contains it.
        scanned_at: when Plex was last told to scan its folder.
        item_id, rating_key: the catalogue's and Plex's id of the item that has the file.
        deadline: when the search is given up.
    """

    __tablename__ = "plex_arrivals"
    __table_args__ = job_indexes("plex_arrivals")

    download_id: Mapped[str] = mapped_column(ForeignKey("downloads.id", ondelete="CASCADE"), unique=True)
    server_id: Mapped[str]
    section_key: Mapped[str]
    path: Mapped[str]
    scanned_at: Mapped[datetime | None]
    rating_key: Mapped[str | None]
    item_id: Mapped[str | None] = mapped_column(ForeignKey("media_items.id", ondelete="SET NULL"))
    deadline: Mapped[datetime]
