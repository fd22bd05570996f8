"""A download as clients see it."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import validate
from sqlalchemy import Row

from api.wire.fields import Schema, nullable, required
from engine.arrivals import arrivals
from engine.downloads.downloads import STATUSES
from engine.downloads.events import eta_text, speed_text
from engine.formats import FORMATS, QUALITIES
from models.download import Download


class FailureSchema(Schema):
    """Why it failed, in words."""

    kind = ma.fields.String(required=True)
    message = ma.fields.String(required=True)
    advice = nullable(ma.fields.String)
    retryable = ma.fields.Boolean(required=True)


class WaitingSchema(Schema):
    """What a queued download waits for."""

    kind = ma.fields.String(
        required=True,
        validate=validate.OneOf(["paused", "host", "retry", "disk", "limit", "turn", "yielded"]),
    )
    message = ma.fields.String(required=True)
    until = nullable(ma.fields.DateTime)


class DownloadedFileSchema(Schema):
    """The finished file."""

    path = required(ma.fields.String, about="Relative to DOWNLOAD_DIR.")
    size = ma.fields.Integer(required=True)
    container = ma.fields.String(required=True)
    height = nullable(ma.fields.Integer)
    duration = nullable(ma.fields.Float)


class PlexReasonSchema(Schema):
    """Why it can't be watched in Plex (yet), in words."""

    kind = required(
        ma.fields.String,
        about="While it waits: scanning, catalogue, unreachable, tls, unauthorized, gone, garbled, "
        "other_server, not_configured. Where it was not found, also: outside (of every library's folders), naming, "
        "library_type, unreadable, file_gone, not_taken, removed (from Plex, later), poison, internal.",
    )
    message = ma.fields.String(required=True)
    advice = ma.fields.String(required=True)


class PlexStateSchema(Schema):
    """Whether a finished download can be watched in Plex."""

    state = ma.fields.String(required=True, validate=validate.OneOf(["waiting", "available", "not_found"]))
    available = required(ma.fields.Boolean, about="Plex has said that it has this very file.")
    rating_key = nullable(ma.fields.String)
    item_id = nullable(ma.fields.String, about="In the catalogue, which may follow some seconds later.")
    reason = nullable(ma.fields.Nested, PlexReasonSchema)
    since = required(ma.fields.DateTime, about="When this state began.")


class DownloadSchema(Schema):
    """A download; `download_row` makes it."""

    id = ma.fields.String(required=True)
    user_id = ma.fields.String(required=True)
    url = ma.fields.String(required=True)
    title = nullable(ma.fields.String)
    channel = nullable(ma.fields.String)
    duration = nullable(ma.fields.Float, about="Seconds.")
    thumbnail = nullable(ma.fields.String)
    status = ma.fields.String(required=True, validate=validate.OneOf(STATUSES))
    quality = ma.fields.String(required=True, validate=validate.OneOf(QUALITIES))
    format = ma.fields.String(required=True, validate=validate.OneOf(FORMATS))
    download_path = ma.fields.String(required=True)
    progress = required(ma.fields.Float, about="Per cent.")
    downloaded_bytes = nullable(ma.fields.Integer)
    total_bytes = nullable(ma.fields.Integer)
    speed = nullable(ma.fields.String, about="In words, such as `1.2 MB/s`.")
    eta = nullable(ma.fields.String, about="In words, such as `5m 30s`.")
    speed_bytes_per_second = nullable(ma.fields.Float)
    eta_seconds = nullable(ma.fields.Float)
    attempt = ma.fields.Integer(required=True)
    error = nullable(ma.fields.Nested, FailureSchema)
    file = nullable(ma.fields.Nested, DownloadedFileSchema)
    cancel_requested = ma.fields.Boolean(required=True)
    created_at = ma.fields.DateTime(required=True)
    queued_at = ma.fields.DateTime(required=True)
    started_at = nullable(ma.fields.DateTime)
    downloading_at = nullable(ma.fields.DateTime)
    processing_at = nullable(ma.fields.DateTime)
    completed_at = nullable(ma.fields.DateTime)
    ended_at = nullable(ma.fields.DateTime)
    next_attempt_at = nullable(ma.fields.DateTime, about="While it waits after a failed attempt.")
    correlation_id = nullable(ma.fields.String)
    priority = required(ma.fields.Integer, about="0 is usual; larger begins earlier.")
    waiting_for = nullable(
        ma.fields.Nested, WaitingSchema, about="What a queued download waits for; told by GET."
    )
    plex = nullable(
        ma.fields.Nested,
        PlexStateSchema,
        about="Told by GET of a completed download; null where no Plex server was configured when it "
        "was completed.",
    )


def download_row(
    row: Download | Row[Any], waiting_for: dict[str, Any] | None = None, plex: arrivals.State | None = None
) -> dict[str, Any]:
    """A download as clients see it; written by hand, since lists of them are the hottest answer."""
    status = row.status
    return {
        "id": row.id,
        "userId": row.user_id,
        "url": row.url,
        "title": row.title,
        "channel": row.channel,
        "duration": row.duration,
        "thumbnail": row.thumbnail,
        "status": status,
        "quality": row.quality,
        "format": row.format,
        "downloadPath": row.folder,
        "progress": round(row.progress, 1),
        "downloadedBytes": row.downloaded_bytes,
        "totalBytes": row.total_bytes,
        "speed": speed_text(row.speed),
        "eta": eta_text(row.eta),
        "speedBytesPerSecond": row.speed,
        "etaSeconds": row.eta,
        "attempt": row.attempt,
        "error": row.error,
        "file": row.file,
        "cancelRequested": row.cancel_requested_at is not None,
        "createdAt": row.created_at,
        "queuedAt": row.created_at,
        "startedAt": row.started_at,
        "downloadingAt": row.downloading_at,
        "processingAt": row.processing_at,
        "completedAt": row.ended_at if status == "completed" else None,
        "endedAt": row.ended_at,
        "nextAttemptAt": row.next_run_at if status == "queued" and row.attempt else None,
        "correlationId": row.correlation_id,
        "priority": row.priority,
        "waitingFor": waiting_for,
        "plex": plex,
    }
