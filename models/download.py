"""Downloads, previews of URLs, and removals of published files."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import TITLE_BEGIN, Base
from models.job import JobRow, job_indexes

# The words that a download is found by: of its title, channel and URL.
SEARCHED: ColumnElement[Any] = literal_column(
    "to_tsvector('simple', folded((((coalesce(title, '') || ' ') || coalesce(channel, '')) || ' ') || "
    "translate(url, '/?=&.#_-', '        ')))"
)
# Words of titles, and their user as a word that nobody can type: so one index finds a user's own.
TITLE_WORDS = "(to_tsvector('simple', folded(title)) || array_to_tsvector(ARRAY['=' || user_id]))"
_TITLED = text("title IS NOT NULL")
_WAITING = text("ended_at IS NULL AND lease_until IS NULL")


class Download(JobRow, Base):
    """A URL that becomes a file.

    `status` is one of queued, downloading, processing, completed, failed, cancelled.

    Attributes:
        url: as given; `url_key` is the SHA-256 of its normal form, by which a duplicate is recognised.
        host: the name its concurrency limit counts under: `youtube` for all of YouTube's hosts, otherwise the host.
        priority: larger begins earlier, regardless of the user.
        folder: relative to `DOWNLOAD_DIR`, with `/`; `""` for the root.
        publishing: set while the file is being published: `{"name", "path", "facts"}` and the file's identity.
        file: of a completed one: `{"path", "size", "container", "height", "duration"}`.
        published: the file's identity (`engine.storage.file_identity`); None for rows of a release before this column.
        yielded_at: when it went back to the queue to free its slot for another user; None once it runs again.
        request_id: the request that it fulfils, if any; not a foreign key: it outlives the request.
        speed: bytes per second. eta: seconds.
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
        Index("ix_downloads_url", "user_id", "url_key"),
        Index("ix_downloads_search", SEARCHED, postgresql_using="gin"),
        # COLLATE "C", which is not seen by who compares models and migrations.
        Index("ix_downloads_begin", "user_id", text(TITLE_BEGIN), postgresql_where=_TITLED),
        Index("ix_downloads_words", text(TITLE_WORDS), postgresql_using="gin", postgresql_where=_TITLED),
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
    request_id: Mapped[str | None]


class DownloadTurn(Base):
    """When a user's downloads last ran, for fair scheduling between users (`engine.downloads.turns`).

    Attributes:
        served_at: the last claim or yield. released_at: the last end or return to the queue.
        yielded_at: the last yield. yields: number of yields since the last completed download.
    """

    __tablename__ = "download_turns"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    served_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]
    yielded_at: Mapped[datetime | None]
    yields: Mapped[int] = mapped_column(server_default=text("0"))


class Preview(JobRow, Base):
    """A URL's metadata, extracted by a worker; `status` is one of queued, running, completed, failed."""

    __tablename__ = "previews"
    __table_args__ = job_indexes("previews")

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    url: Mapped[str]
    url_key: Mapped[str] = mapped_column(index=True)
    result: Mapped[dict[str, Any] | None]


class FileRemoval(JobRow, Base):
    """A published file to be deleted by a worker that has the folder; `status`: queued, running, completed, failed.

    Attributes:
        identity: the file's identity (`engine.storage.file_identity`), as far as its download's row has it.
        removed_at: when the file was deleted; Plex may not have been told yet.
    """

    __tablename__ = "file_removals"
    __table_args__ = job_indexes("file_removals")

    path: Mapped[str]
    download_id: Mapped[str]
    identity: Mapped[dict[str, Any] | None]
    removed_at: Mapped[datetime | None]
