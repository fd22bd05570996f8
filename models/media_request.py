"""Requests for films, series and videos: their state, seasons, followers, comments, history, rules."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Computed, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Timestamps
from models.job import JobRow, job_indexes


class MediaRequest(Timestamps, Base):
    """What somebody asked for; its state changes only in `engine.media_requests.transitions`.

    Attributes:
        media_type: movie, tv or video.
        status: pending, approved, denied, processing, available or failed.
        tmdb_id: of a film or series. url, url_key: of a video, and its normal form by which it is recognised.
        imdb_id, tvdb_id: other ids of the film or series, so that the catalogue is asked by all of them.
        title, year, poster: as TMDB or the site told them. folded_title: for filters.
        format, download_path: of a video, as for a download.
        user_id: who asked; None: somebody at Overseerr whom we do not know, or whose account was deleted.
        source: `user`, `watchlist` or `overseerr`.
        decided_by: None while nobody decided, and where a rule or the catalogue did.
        by: the way of fulfilment, `overseerr`, `download` or `hand`; None before it is approved.
        reference: Overseerr's id of its request. target: the address that this id belongs to.
        upstream: the status that it had there last, in our words.
        error: why it failed: `{"kind", "message", "advice", "retryable", "choices"}`.
        item_id: the film or series in the catalogue, while it is available.
        followers: how many follow it, without who asked.
        dispatches: how often it was handed to what fulfils it; a fulfilment of an older dispatch changes nothing.
    """

    __tablename__ = "media_requests"
    __table_args__ = (
        CheckConstraint("media_type IN ('movie', 'tv', 'video')", name="media_type"),
        CheckConstraint(
            "status IN ('pending', 'approved', 'denied', 'processing', 'available', 'failed')", name="status"
        ),
        CheckConstraint("(media_type = 'video') = (url IS NOT NULL)", name="kind"),
        CheckConstraint("(media_type = 'video') = (tmdb_id IS NULL)", name="ids"),
        Index(
            "uq_media_requests_movie", "tmdb_id", unique=True, postgresql_where=text("media_type = 'movie'")
        ),
        Index("uq_media_requests_video", "url_key", unique=True, postgresql_where=text("url IS NOT NULL")),
        Index("ix_media_requests_title", "media_type", "tmdb_id"),
        Index("ix_media_requests_status", "status", text("id DESC")),
        Index("ix_media_requests_updated", text("updated_at DESC"), text("id DESC")),
        Index("ix_media_requests_by_title", "folded_title", text("id DESC")),
        Index("ix_media_requests_followers", text("followers DESC"), text("id DESC")),
        Index("ix_media_requests_user", "user_id", text("id DESC")),
        Index("ix_media_requests_open", "status", postgresql_where=text("status <> 'denied'")),
        Index("ix_media_requests_imdb", "imdb_id", postgresql_where=text("imdb_id IS NOT NULL")),
        Index("ix_media_requests_tvdb", "tvdb_id", postgresql_where=text("tvdb_id IS NOT NULL")),
        Index("ix_media_requests_download", "download_id", postgresql_where=text("download_id IS NOT NULL")),
        Index("ix_media_requests_reference", "reference", postgresql_where=text("reference IS NOT NULL")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    media_type: Mapped[str]
    status: Mapped[str]
    tmdb_id: Mapped[str | None]
    imdb_id: Mapped[str | None]
    tvdb_id: Mapped[str | None]
    url: Mapped[str | None]
    url_key: Mapped[str | None]
    title: Mapped[str]
    folded_title: Mapped[str] = mapped_column(Computed("folded(title)", persisted=True), deferred=True)
    year: Mapped[int | None]
    poster: Mapped[str | None]
    quality: Mapped[str | None]
    format: Mapped[str | None]
    download_path: Mapped[str | None]
    comment: Mapped[str | None]
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    requested_by_name: Mapped[str | None]
    source: Mapped[str] = mapped_column(server_default="user")
    decided_by: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    decided_at: Mapped[datetime | None]
    deny_reason: Mapped[str | None]
    by: Mapped[str | None]
    reference: Mapped[str | None]
    target: Mapped[str | None]
    upstream: Mapped[str | None]
    error: Mapped[dict[str, Any] | None]
    download_id: Mapped[str | None]
    item_id: Mapped[str | None]
    available_at: Mapped[datetime | None]
    followers: Mapped[int] = mapped_column(server_default=text("0"))
    dispatches: Mapped[int] = mapped_column(server_default=text("0"))
    updated_at: Mapped[datetime]
    correlation_id: Mapped[str | None]


class RequestSeason(Base):
    """A season that a request of a series asks for; `status` is pending, processing, partial or available.

    `had`: how many of its episodes were there when it became available.

    A season is asked for by one request only, whatever became of it (`tmdb_id` repeats that of the request).
    """

    __tablename__ = "request_seasons"
    __table_args__ = (UniqueConstraint("tmdb_id", "number"),)

    request_id: Mapped[str] = mapped_column(
        ForeignKey("media_requests.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    tmdb_id: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="pending")
    had: Mapped[int | None]


class RequestFollower(Timestamps, Base):
    """Who is told of a request: who asked (`own`), and who follows it."""

    __tablename__ = "request_followers"
    __table_args__ = (Index("ix_request_followers_user", "user_id", text("request_id DESC")),)

    request_id: Mapped[str] = mapped_column(
        ForeignKey("media_requests.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    own: Mapped[bool]


class RequestComment(Timestamps, Base):
    """What somebody wrote below a request."""

    __tablename__ = "request_comments"
    __table_args__ = (Index("ix_request_comments_request", "request_id", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    request_id: Mapped[str] = mapped_column(ForeignKey("media_requests.id", ondelete="CASCADE"))
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    text: Mapped[str]


class RequestStep(Timestamps, Base):
    """A step in the history of a request, written in the transaction that made it.

    Attributes:
        step: a word for programs, such as `approved`.
        text: a sentence for people.
        user_id: who caused it; None: the server.
    """

    __tablename__ = "request_steps"
    __table_args__ = (Index("ix_request_steps_request", "request_id", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    request_id: Mapped[str] = mapped_column(ForeignKey("media_requests.id", ondelete="CASCADE"))
    step: Mapped[str]
    text: Mapped[str]
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    correlation_id: Mapped[str | None]


class RequestRules(Base):
    """The one row of rules and quotas; without it there are none.

    Attributes:
        rules: ordered, `[{"match": {...}, "then": "approve" | "block" | "ask", "reason"}]`.
        quotas: by role, `{"user": {"count", "days"}, ...}`; a role that is missing has none.
    """

    __tablename__ = "request_rules"

    id: Mapped[int] = mapped_column(primary_key=True)
    rules: Mapped[list[Any]] = mapped_column(JSONB)
    quotas: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]
    updated_by: Mapped[str | None]


class Fulfilment(JobRow, Base):
    """The job that hands an approved request to what fulfils it.

    Attributes:
        dispatch: the request's `dispatches` that it belongs to: a fulfilment of an older one does nothing.
        action: `send` (make it there), `decide` (decline one that was made there), `remove`.
        reference, target: of one that is removed, whose request is gone.
    """

    __tablename__ = "fulfilments"
    __table_args__ = (*job_indexes("fulfilments"), Index("ix_fulfilments_request", "request_id"))

    request_id: Mapped[str]
    dispatch: Mapped[int]
    action: Mapped[str]
    actor_id: Mapped[str | None]
    reference: Mapped[str | None]
    target: Mapped[str | None]


class RequestAnnouncement(JobRow, Base):
    """The job that tells who asked for a request, and who follows it, of one step; in batches, so that it can go on.

    Attributes:
        step_id: the step that is told; a person is told of it once.
        type: of the notifications, such as `request.approved`.
        actor_id: who caused the step, and is not told.
        batch: common to all that were decided together, which become one notification a person.
        told_until: the last user that was told; whose id is larger is told next.
        told: how many were told so far; 0 again once the history of the request says so.
    """

    __tablename__ = "request_announcements"
    __table_args__ = (
        *job_indexes("request_announcements"),
        Index("ix_request_announcements_request", "request_id"),
    )

    request_id: Mapped[str] = mapped_column(ForeignKey("media_requests.id", ondelete="CASCADE"))
    step_id: Mapped[str]
    type: Mapped[str]
    actor_id: Mapped[str | None]
    batch: Mapped[str | None]
    told_until: Mapped[str | None]
    told: Mapped[int] = mapped_column(server_default=text("0"))
