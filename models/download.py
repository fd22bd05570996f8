"""Downloads, previews of what a URL holds, and removals of finished files."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.job import JobRow, job_indexes

_WAITING = text("ended_at IS NULL AND lease_until IS NULL")


class Download(JobRow, Base):
    """A URL that becomes a file.

    `status` is one of queued, downloading, processing, completed, failed, cancelled.

    Attributes:
        url: as given; `url_key` is its normal form, by which the same wish is recognised.
        host: what the concurrency budget counts: `youtube` for all of YouTube's hosts, else the host name.
        priority: what is larger begins earlier, whoever asked for it.
        folder: below `DOWNLOAD_DIR`, with `/`, `""` for the root.
        publishing: the step that makes the file visible, once begun: `{"name", "path", "facts"}` and the identity.
        file: of a completed one: `{"path", "size", "container", "height", "duration"}`.
        published: what the file is known by (`engine.storage.file_identity`), whatever name it has; None of those that
            were completed before this was written down.
        yielded_at: it was put back into the queue then, to make room for other people's, and waits since.
        speed: bytes a second. eta: seconds.
    """

    __tablename__ = "downloads"
    __table_args__ = (
        *job_indexes("downloads"),
        Index(
            "uq_downloads_active",
            "user_id",
            "url_key",
            "quality",
            "format",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_downloads_turn", text("priority DESC"), "id", postgresql_where=_WAITING),
        Index("ix_downloads_turn_of_user", "user_id", text("priority DESC"), "id", postgresql_where=_WAITING),
        Index("ix_downloads_list", "user_id", text("id DESC")),
        Index("ix_downloads_list_status", "user_id", "status", text("id DESC")),
        Index("ix_downloads_file", text("(file ->> 'path')"), postgresql_where=text("file IS NOT NULL")),
        Index(
            "ix_downloads_publishing",
            text("(publishing ->> 'path')"),
            postgresql_where=text("publishing IS NOT NULL"),
        ),
        {"postgresql_with": {"fillfactor": 80}},
    )

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    url: Mapped[str]
    url_key: Mapped[str]
    host: Mapped[str]
    quality: Mapped[str]
    format: Mapped[str]
    folder: Mapped[str]
    priority: Mapped[int] = mapped_column(server_default=text("0"))

    source_id: Mapped[str | None]
    title: Mapped[str | None]
    channel: Mapped[str | None]
    duration: Mapped[float | None]
    thumbnail: Mapped[str | None]

    progress: Mapped[float] = mapped_column(server_default=text("0"))
    downloaded_bytes: Mapped[int | None]
    total_bytes: Mapped[int | None]
    speed: Mapped[float | None]
    eta: Mapped[float | None]

    downloading_at: Mapped[datetime | None]
    processing_at: Mapped[datetime | None]
    publishing: Mapped[dict[str, Any] | None]
    file: Mapped[dict[str, Any] | None]
    published: Mapped[dict[str, Any] | None]
    yielded_at: Mapped[datetime | None]


class DownloadTurn(Base):
    """When a user's downloads last had a place, so that those of others come first next.

    Attributes:
        served_at: one of them was begun, or had to make room. released_at: one of them ended or went back.
        yielded_at: one of them had to make room. yields: how often, since the last was completed.
    """

    __tablename__ = "download_turns"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    served_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]
    yielded_at: Mapped[datetime | None]
    yields: Mapped[int] = mapped_column(server_default=text("0"))


class Preview(JobRow, Base):
    """What a URL holds, looked up in a worker; `status` is one of queued, running, completed, failed."""

    __tablename__ = "previews"
    __table_args__ = job_indexes("previews")

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    url: Mapped[str]
    url_key: Mapped[str] = mapped_column(index=True)
    result: Mapped[dict[str, Any] | None]


class FileRemoval(JobRow, Base):
    """A finished file to be deleted by a worker that sees it; `status`: queued, running, completed, failed.

    Attributes:
        identity: what the file is known by (`engine.storage.file_identity`), as far as its download knew it.
        removed_at: the file is gone; Plex may not know it yet.
    """

    __tablename__ = "file_removals"
    __table_args__ = job_indexes("file_removals")

    path: Mapped[str]
    download_id: Mapped[str]
    identity: Mapped[dict[str, Any] | None]
    removed_at: Mapped[datetime | None]
