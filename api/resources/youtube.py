"""`/youtube`: downloads of the user, and a look at what a URL holds."""

from __future__ import annotations

import time
from typing import Any

import marshmallow as ma
from flask import Response, request
from marshmallow import validate
from sqlalchemy import Row

from api.operations.blueprint import Blueprint, Call
from api.preview_places import place_for
from api.security.authentication import credential
from api.wire.envelope import success
from api.wire.fields import Choice, Flag, PageQuery, Schema, Text, page_data, page_of
from api.wire.unversioned_paths import PREFIX
from engine import audit
from engine.arrivals import arrivals
from engine.audit import Subject
from engine.downloads import downloads, waiting
from engine.downloads.downloads import STATUSES
from engine.downloads.events import eta_text, speed_text
from engine.downloads.previews import previews
from engine.errors import Forbidden, ServiceUnavailable, UpstreamFailed, ValidationFailed
from engine.formats import FORMATS, QUALITIES
from engine.job_names import Job
from engine.permissions import Permission
from models.download import Download, Preview

blueprint = Blueprint("youtube", "/youtube", "Downloads from YouTube and other allowed sites.", limit="media")

_LOCATION = {"Location": "Where the download is from now on."}
_NOT_A_VIDEO = frozenset({"unsupported", "playlist"})  # kinds of failure that are the URL's own


class DownloadRequest(Schema):
    """What to download, and how."""

    url = Text(2000, required=True, metadata={"format": "uri"})
    quality = Choice(QUALITIES, allow_none=True, metadata={"description": "Default: best."})
    format = Choice(
        FORMATS,
        allow_none=True,
        metadata={"description": "Default: mp4. An audio format implies quality audio."},
    )
    download_path = Text(
        500,
        0,
        allow_none=True,
        metadata={"description": "A folder below DOWNLOAD_DIR, relative, or absolute inside it."},
    )


class DownloadsQuery(PageQuery):
    """Which downloads."""

    status = Choice(STATUSES)


class DeleteQuery(Schema):
    """What goes along."""

    delete_file = Flag(load_default=False, metadata={"description": "Remove the finished file too."})
    only_cancel = Flag(
        load_default=False,
        metadata={"description": "Do not remove one that has ended meanwhile: answer 409 instead."},
    )


class MetadataQuery(Schema):
    """Which video."""

    url = Text(2000, required=True, metadata={"format": "uri"})


class FailureSchema(Schema):
    """Why it failed, in words."""

    kind = ma.fields.String(required=True)
    message = ma.fields.String(required=True)
    advice = ma.fields.String(required=True, allow_none=True)
    retryable = ma.fields.Boolean(required=True)


class WaitingSchema(Schema):
    """What a queued download waits for."""

    kind = ma.fields.String(
        required=True,
        validate=validate.OneOf(["paused", "host", "retry", "disk", "limit", "turn", "yielded"]),
    )
    message = ma.fields.String(required=True)
    until = ma.fields.DateTime(required=True, allow_none=True)


class DownloadedFileSchema(Schema):
    """The finished file."""

    path = ma.fields.String(required=True, metadata={"description": "Relative to DOWNLOAD_DIR."})
    size = ma.fields.Integer(required=True)
    container = ma.fields.String(required=True)
    height = ma.fields.Integer(required=True, allow_none=True)
    duration = ma.fields.Float(required=True, allow_none=True)


def _optional(kind: type[ma.fields.Field[Any]], description: str | None = None) -> Any:
    return kind(required=True, allow_none=True, metadata={"description": description} if description else {})


class PlexReasonSchema(Schema):
    """Why it can't be watched in Plex (yet), in words."""

    kind = ma.fields.String(
        required=True,
        metadata={
            "description": "While it waits: scanning, catalogue, unreachable, tls, unauthorized, gone, garbled, "
            "other_server, not_configured. Where it was not found, also: outside (of every library's folders), naming, "
            "library_type, unreadable, file_gone, not_taken, removed (from Plex, later), poison, internal."
        },
    )
    message = ma.fields.String(required=True)
    advice = ma.fields.String(required=True)


class PlexStateSchema(Schema):
    """Whether a finished download can be watched in Plex."""

    state = ma.fields.String(required=True, validate=validate.OneOf(["waiting", "available", "not_found"]))
    available = ma.fields.Boolean(
        required=True, metadata={"description": "Plex has said that it has this very file."}
    )
    rating_key = ma.fields.String(required=True, allow_none=True)
    item_id = ma.fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "In the catalogue, which may follow some seconds later."},
    )
    reason = ma.fields.Nested(PlexReasonSchema, required=True, allow_none=True)
    since = ma.fields.DateTime(required=True, metadata={"description": "When this state began."})


class DownloadSchema(Schema):
    """A download; `download_row` makes it."""

    id = ma.fields.String(required=True)
    user_id = ma.fields.String(required=True)
    url = ma.fields.String(required=True)
    title = _optional(ma.fields.String)
    channel = _optional(ma.fields.String)
    duration = _optional(ma.fields.Float, "Seconds.")
    thumbnail = _optional(ma.fields.String)
    status = ma.fields.String(required=True, validate=validate.OneOf(STATUSES))
    quality = ma.fields.String(required=True, validate=validate.OneOf(QUALITIES))
    format = ma.fields.String(required=True, validate=validate.OneOf(FORMATS))
    download_path = ma.fields.String(required=True)
    progress = ma.fields.Float(required=True, metadata={"description": "Per cent."})
    downloaded_bytes = _optional(ma.fields.Integer)
    total_bytes = _optional(ma.fields.Integer)
    speed = _optional(ma.fields.String, "In words, such as `1.2 MB/s`.")
    eta = _optional(ma.fields.String, "In words, such as `5m 30s`.")
    speed_bytes_per_second = _optional(ma.fields.Float)
    eta_seconds = _optional(ma.fields.Float)
    attempt = ma.fields.Integer(required=True)
    error = ma.fields.Nested(FailureSchema, required=True, allow_none=True)
    file = ma.fields.Nested(DownloadedFileSchema, required=True, allow_none=True)
    cancel_requested = ma.fields.Boolean(required=True)
    created_at = ma.fields.DateTime(required=True)
    queued_at = ma.fields.DateTime(required=True)
    started_at = _optional(ma.fields.DateTime)
    downloading_at = _optional(ma.fields.DateTime)
    processing_at = _optional(ma.fields.DateTime)
    completed_at = _optional(ma.fields.DateTime)
    ended_at = _optional(ma.fields.DateTime)
    next_attempt_at = _optional(ma.fields.DateTime, "While it waits after a failed attempt.")
    correlation_id = _optional(ma.fields.String)
    priority = ma.fields.Integer(
        required=True, metadata={"description": "0 is usual; larger begins earlier."}
    )
    waiting_for = ma.fields.Nested(
        WaitingSchema,
        required=True,
        allow_none=True,
        metadata={"description": "What a queued download waits for; told by GET."},
    )
    plex = ma.fields.Nested(
        PlexStateSchema,
        required=True,
        allow_none=True,
        metadata={
            "description": "Told by GET of a completed download; null where no Plex server was configured when it "
            "was completed."
        },
    )


class MetadataSchema(Schema):
    """What a URL holds; `metadata_row` makes it."""

    url = ma.fields.String(required=True)
    title = ma.fields.String(required=True)
    channel = _optional(ma.fields.String)
    duration = _optional(ma.fields.Float, "Seconds.")
    thumbnail = _optional(ma.fields.String)
    description = _optional(ma.fields.String)
    upload_date = _optional(ma.fields.String, "YYYY-MM-DD.")
    source_id = ma.fields.String(required=True)
    extractor = ma.fields.String(required=True)
    webpage_url = _optional(ma.fields.String)
    live_status = _optional(ma.fields.String)
    heights = ma.fields.List(ma.fields.Integer(), required=True)
    qualities = ma.fields.List(ma.fields.String(), required=True)


DownloadPage = page_of(DownloadSchema)


@blueprint.operation(
    "POST",
    "/download",
    permission=Permission.MEDIA_REQUEST,
    body=DownloadRequest,
    answers={202: DownloadSchema, 200: DownloadSchema},
    headers=_LOCATION,
)
def create_download(call: Call, body: dict[str, Any]) -> Response:
    """Ask for a video. 202 with the new download, 200 with the one that is active for the same wish."""
    row, new = downloads.create(
        call.db,
        call.settings,
        user_id=call.identity.user_id,
        url=body["url"],
        quality=body.get("quality"),
        format=body.get("format"),
        download_path=body.get("download_path"),
    )
    if new:
        call.spend("downloads")
    return success(download_row(row), 202 if new else 200, _located(row))


@blueprint.operation(
    "GET",
    "/downloads",
    permission=Permission.MEDIA_REQUEST,
    query=DownloadsQuery,
    answers={200: DownloadPage},
)
def list_downloads(call: Call, query: dict[str, Any]) -> Response:
    """One's own downloads, newest first."""
    return downloads_page(call, query, owner_id=call.identity.user_id)


@blueprint.operation(
    "GET",
    "/downloads/<id:download_id>",
    permission=Permission.MEDIA_REQUEST,
    answers={200: DownloadSchema},
)
def get_download(call: Call, download_id: str) -> Response:
    """One download."""
    row = downloads.get(call.db, download_id, owner_id=_visible(call))
    why, plex = waiting.reasons(call.db, call.settings, [row]), arrivals.states(call.db, [row])
    return success(download_row(row, why.get(row.id), plex.get(row.id)))


@blueprint.operation(
    "DELETE",
    "/downloads/<id:download_id>",
    permission=Permission.MEDIA_REQUEST,
    query=DeleteQuery,
    answers={200: DownloadSchema},
    errors=(409,),
)
def delete_download(call: Call, query: dict[str, Any], download_id: str) -> Response:
    """Cancel what is active, remove what has ended; answers with the row as it was."""
    owner = None if Permission.MEDIA_DELETE in call.identity.permissions else call.identity.user_id
    row = downloads.delete(call.db, download_id, owner_id=owner, **query)
    note_foreign(call, "download.deleted_by_admin", row, status=row.status, file=query["delete_file"])
    return success(download_row(row))


@blueprint.operation(
    "POST",
    "/downloads/<id:download_id>/retry",
    permission=Permission.MEDIA_REQUEST,
    answers={202: DownloadSchema},
    errors=(409,),
    headers=_LOCATION,
)
def retry_download(call: Call, download_id: str) -> Response:
    """Let a failed or cancelled download begin anew, and one that waits for its next attempt begin it now.

    Either is work for a worker and the site, and is counted like a submission.
    """
    row = downloads.retry(call.db, download_id, owner_id=_visible(call))
    call.spend("downloads")
    note_foreign(call, "download.retried_by_admin", row)
    return success(download_row(row), 202, _located(row))


@blueprint.operation(
    "GET",
    "/metadata",
    permission=Permission.MEDIA_REQUEST,
    query=MetadataQuery,
    answers={200: MetadataSchema},
    errors=(502,),
    own_units=True,
)
def get_metadata(call: Call, query: dict[str, Any]) -> Response:
    """What a URL holds: a worker looks, for 30 seconds at most; the answer is reused for 5 minutes.

    A user may have two under way; a third is refused with 429 until one of them has ended.
    """
    if _of_another_site():
        raise Forbidden("Another site may not have us look for videos with your cookie.")
    with place_for(call.identity.user_id, call.settings.preview_user_limit):
        row = _preview(call, query["url"])
    if row.status == "completed" and row.result is not None:
        return success(metadata_row(query["url"], row.result))
    failure = row.error or {"kind": "", "message": "The site took too long to answer.", "advice": None}
    words = " ".join(filter(None, (failure["message"], failure["advice"])))
    if failure["kind"] in _NOT_A_VIDEO:
        raise ValidationFailed("The URL is not accepted.", url=words)
    raise UpstreamFailed(words, failure)


def _of_another_site() -> bool:
    """Whether another site's page sent a browser here, whose cookie came along; with a link it does, even Lax."""
    found = credential(request)
    return (
        found is not None
        and found.by_cookie
        and request.headers.get("Sec-Fetch-Site", "").lower() == "cross-site"
    )


def _preview(call: Call, url: str) -> Preview:
    """Ask a worker and wait for the row to end; looks again soon at first, then less often."""
    deadline = time.monotonic() + call.settings.preview_seconds
    with call.runtime.unit_of_work() as db:
        row = previews.request(db, call.settings, user_id=call.identity.user_id, url=url)
    if row.status == "queued" and not call.runtime.ring(Job.PREVIEW):
        raise ServiceUnavailable("The workers can't be reached at the moment. Try again in a few seconds.")
    pause = 0.02
    while row.ended_at is None and time.monotonic() + pause < deadline:
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)
        with call.runtime.unit_of_work() as db:
            row = previews.get(db, row.id)
    return row


def _visible(call: Call) -> str | None:
    """Whose downloads the caller may see: his own, or (None) all."""
    return None if Permission.REQUESTS_MANAGE in call.identity.permissions else call.identity.user_id


def _located(row: Download) -> dict[str, str]:
    return {"Location": f"{PREFIX}/youtube/downloads/{row.id}"}


def note_foreign(call: Call, action: str, row: Download, **details: Any) -> None:
    """Write down what is done to another's download."""
    if row.user_id != call.identity.user_id:
        subject = Subject("download", row.id, row.title)
        audit.record(call.db, action, call.actor, subject, owner=row.user_id, **details)


def downloads_page(call: Call, query: dict[str, Any], *, owner_id: str | None) -> Response:
    """One page of downloads, of one user or of all."""
    page = downloads.listing(
        call.db, owner_id=owner_id, status=query.get("status"), page=query["page"], limit=query["limit"]
    )
    why = waiting.reasons(call.db, call.settings, page.items)
    asked = page.items and page.items[0].any_arrivals
    plex = arrivals.states(call.db, page.items) if asked else {}
    rows = [download_row(row, why.get(row.id), plex.get(row.id)) for row in page.items]
    return success(page_data(page, rows))


def download_row(
    row: Download | Row[Any],
    waiting_for: dict[str, Any] | None = None,
    plex: arrivals.State | None = None,
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


def metadata_row(url: str, result: dict[str, Any]) -> dict[str, Any]:
    """What a worker found, as clients see it."""
    found = result["metadata"]
    return {
        "url": url,
        "title": found["title"],
        "channel": found["channel"],
        "duration": found["duration"],
        "thumbnail": found["thumbnail"],
        "description": found["description"],
        "uploadDate": found["upload_date"],
        "sourceId": found["source_id"],
        "extractor": found["extractor"],
        "webpageUrl": found["webpage_url"],
        "liveStatus": found["live_status"],
        "heights": result["heights"],
        "qualities": result["qualities"],
    }
