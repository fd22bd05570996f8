"""`/pictures/tmdb/...`: our own copies of TMDB's pictures, so that no browser tells TMDB who looks at what."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.wire.fields import Schema, Text
from engine.downloads.shown import thumbnails
from engine.permissions import Permission
from engine.titles import pictures

pages = PageBlueprint("title_pictures")

_MONTH = 30 * 86400  # seconds; another picture has another name


class PictureQuery(Schema):
    """The proof that one of our pages shows it."""

    sig = Text(40, required=True)


@pages.page(
    "/pictures/tmdb/<size>/<file>",
    Permission.MEDIA_READ,
    query=PictureQuery,
    limit=None,  # a page shows many at once
    own_units=True,
)
def title_picture(visit: Visit, query: dict[str, Any], size: str, file: str) -> Response:
    """A poster, a background or the picture of a person."""
    url = pictures.source(visit.settings, size, file, query["sig"])
    picture = thumbnails.show(visit.runtime, url, trusted=True)
    answer = Response(picture.body, mimetype=picture.type)
    answer.headers["Cache-Control"] = f"private, max-age={_MONTH}, immutable"
    answer.add_etag()
    answer.make_conditional(request)
    return answer
