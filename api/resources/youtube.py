"""`/youtube`: downloads of the user, and a look at what a URL holds."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response, request

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.resources.download_rows import DownloadSchema, download_row
from api.resources.metadata import MetadataSchema, looked_up, metadata_row
from api.security.authentication import credential
from api.wire.envelope import success
from api.wire.fields import Choice, Flag, PageQuery, Schema, Text, page_data, page_of
from api.wire.unversioned_paths import PREFIX
from engine.arrivals import arrivals
from engine.downloads import downloads
from engine.downloads.changes import Changing, visible_owner
from engine.downloads.downloads import STATUSES
from engine.downloads.previews.links import NOT_A_VIDEO
from engine.downloads.shown import listing, waiting
from engine.errors import Forbidden, UpstreamFailed, ValidationFailed
from engine.formats import FORMATS, QUALITIES
from engine.permissions import Permission
from models.download import Download

blueprint = Blueprint("youtube", "/youtube", "Downloads from YouTube and other allowed sites.", limit="media")

_LOCATION = {"Location": "Where the download is from now on."}


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


DownloadPage = page_of(DownloadSchema)


@blueprint.operation(
    "POST",
    "/download",
    Access(Permission.MEDIA_REQUEST),
    Answers({202: DownloadSchema, 200: DownloadSchema}, headers=_LOCATION),
    Takes(body=DownloadRequest),
)
def create_download(call: Call, body: dict[str, Any]) -> Response:
    """Ask for a video. 202 with the new download, 200 with the one that is active for the same wish."""
    row, new = downloads.create(call.db, call.settings, user_id=call.identity.user_id, **body)
    if new:
        call.spend("downloads")
    return success(download_row(row), 202 if new else 200, _located(row))


@blueprint.operation(
    "GET",
    "/downloads",
    Access(Permission.MEDIA_REQUEST),
    Answers({200: DownloadPage}),
    Takes(query=DownloadsQuery),
)
def list_downloads(call: Call, query: dict[str, Any]) -> Response:
    """One's own downloads, newest first."""
    return downloads_page(call, query, owner_id=call.identity.user_id)


@blueprint.operation(
    "GET", "/downloads/<id:download_id>", Access(Permission.MEDIA_REQUEST), Answers({200: DownloadSchema})
)
def get_download(call: Call, download_id: str) -> Response:
    """One download."""
    row = downloads.get(call.db, download_id, owner_id=visible_owner(call.identity))
    why, plex = waiting.reasons(call.db, call.settings, [row]), arrivals.states(call.db, [row])
    return success(download_row(row, why.get(row.id), plex.get(row.id)))


@blueprint.operation(
    "DELETE",
    "/downloads/<id:download_id>",
    Access(Permission.MEDIA_REQUEST),
    Answers({200: DownloadSchema}, errors=(409,)),
    Takes(query=DeleteQuery),
)
def delete_download(call: Call, query: dict[str, Any], download_id: str) -> Response:
    """Cancel what is active, remove what has ended; answers with the row as it was."""
    return success(download_row(changing(call).delete(download_id, **query)))


@blueprint.operation(
    "POST",
    "/downloads/<id:download_id>/retry",
    Access(Permission.MEDIA_REQUEST),
    Answers({202: DownloadSchema}, errors=(409,), headers=_LOCATION),
)
def retry_download(call: Call, download_id: str) -> Response:
    """Let a failed or cancelled download begin anew, and one that waits for its next attempt begin it now.

    Either is work for a worker and the site, and is counted like a submission.
    """
    row = changing(call).retry(download_id)
    return success(download_row(row), 202, _located(row))


@blueprint.operation(
    "GET",
    "/metadata",
    Access(Permission.MEDIA_REQUEST),
    Answers({200: MetadataSchema}, errors=(502,)),
    Takes(query=MetadataQuery),
    own_units=True,
)
def get_metadata(call: Call, query: dict[str, Any]) -> Response:
    """What a URL holds: a worker looks, for 30 seconds at most; the answer is reused for 5 minutes.

    A user may have two under way; a third is refused with 429 until one of them has ended.
    """
    if _of_another_site():
        raise Forbidden("Another site may not have us look for videos with your cookie.")
    row = looked_up(call, query["url"])
    if row.status == "completed" and row.result is not None:
        return success(metadata_row(query["url"], row.result))
    failure = row.error or {"kind": "", "message": "The site took too long to answer.", "advice": None}
    words = " ".join(filter(None, (failure["message"], failure["advice"])))
    if failure["kind"] in NOT_A_VIDEO:
        raise ValidationFailed("The URL is not accepted.", url=words)
    raise UpstreamFailed(words, failure)


def _of_another_site() -> bool:
    """Whether a page of another site sent the browser here with its cookie: SameSite=Lax ones go along with links."""
    found = credential(request)
    return (
        found is not None
        and found.by_cookie
        and request.headers.get("Sec-Fetch-Site", "").lower() == "cross-site"
    )


def _located(row: Download) -> dict[str, str]:
    return {"Location": f"{PREFIX}/youtube/downloads/{row.id}"}


def changing(call: Call) -> Changing:
    """The caller, as who changes downloads."""
    spend = partial(call.spend, "downloads")
    return Changing(db=call.db, mine=call.identity, actor=call.actor, count=spend)


def downloads_page(call: Call, query: dict[str, Any], *, owner_id: str | None) -> Response:
    """One page of downloads, of one user or of all."""
    page = listing.newest(
        call.db, owner_id=owner_id, status=query.get("status"), page=query["page"], limit=query["limit"]
    )
    why = waiting.reasons(call.db, call.settings, page.items)
    asked = page.items and page.items[0].any_arrivals
    plex = arrivals.states(call.db, page.items) if asked else {}
    rows = [download_row(row, why.get(row.id), plex.get(row.id)) for row in page.items]
    return success(page_data(page, rows))
