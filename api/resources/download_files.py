"""`/youtube`, continued: the finished file of a download, to save it or to play it."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.operations.published_file import sent_file
from api.resources.download_batches import blueprint
from api.wire import files
from api.wire.fields import Flag, Schema
from engine.permissions import Permission

__all__ = ["blueprint"]


class FileQuery(Schema):
    """What is done with it."""

    inline = Flag(load_default=False, metadata={"description": "Play it in a browser instead of saving it."})


@blueprint.operation(
    "GET",
    "/downloads/<id:download_id>/file",
    Access(Permission.MEDIA_REQUEST),
    Answers({200: None, 206: None, 304: None}, errors=(409, 416), headers=files.HEADERS),
    Takes(query=FileQuery),
    limit=None,  # a player asks for many ranges of one film
    own_units=True,
)
def get_download_file(call: Call, query: dict[str, Any], download_id: str) -> Response:
    """The file of a completed download, or one range of it.

    409 while it is not completed, and where something else is in its place; 404 where it is gone.
    """
    return sent_file(call, download_id, inline=query["inline"])
