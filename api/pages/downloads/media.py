"""`/downloads`, continued: the finished file and the pictures, known by the cookie of pages for as long as it lasts."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from api.operations.published_file import sent_file
from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.wire.fields import Flag, Schema
from engine.downloads import downloads
from engine.downloads.changes import visible_owner
from engine.downloads.previews import previews
from engine.downloads.shown import thumbnails
from engine.permissions import Permission

pages = PageBlueprint("download_media")

_WEEK = 7 * 86400  # seconds


class PlayQuery(Schema):
    """What is done with the file."""

    inline = Flag(load_default=False)


@pages.page(
    "/downloads/<id:download_id>/file",
    Permission.MEDIA_REQUEST,
    query=PlayQuery,
    limit=None,  # a player asks for many ranges of one film
    own_units=True,
)
def download_file(visit: Visit, query: dict[str, Any], download_id: str) -> Response:
    """The file of a completed download, or one range of it."""
    return sent_file(visit, download_id, inline=query["inline"])


@pages.page(
    "/downloads/<id:download_id>/picture",
    Permission.MEDIA_REQUEST,
    limit=None,  # a list is many requests at once
    own_units=True,
)
def download_picture(visit: Visit, download_id: str) -> Response:
    """The picture that the site shows for a download."""
    with visit.runtime.reading() as db:
        url = downloads.get(db, download_id, owner_id=visible_owner(visit.identity)).thumbnail
    return _picture(visit, url)


@pages.page(
    "/downloads/previews/<id:preview_id>/picture", Permission.MEDIA_REQUEST, limit=None, own_units=True
)
def preview_picture(visit: Visit, preview_id: str) -> Response:
    """The picture that the site shows for a link that was looked at."""
    with visit.runtime.reading() as db:
        found = previews.get(db, preview_id).result
    return _picture(visit, None if found is None else found["metadata"]["thumbnail"])


def _picture(visit: Visit, url: str | None) -> Response:
    picture = thumbnails.show(visit.runtime, url)
    answer = Response(picture.body, mimetype=picture.type)
    answer.headers["Cache-Control"] = f"private, max-age={_WEEK}"
    answer.add_etag()
    answer.make_conditional(request)
    return answer
