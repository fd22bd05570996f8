"""`/youtube`, continued: the finished file of a download, to save it or to play it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Response

from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.resources.download_batches import blueprint
from api.resources.youtube import visible_owner
from api.wire import files
from api.wire.fields import Flag, Schema
from engine.downloads import downloads
from engine.downloads.files import open_published
from engine.permissions import Permission
from engine.secrets import keys

__all__ = ["blueprint"]

_PURPOSE = "entity tags of files"
# By container. Nothing else is ever said, whatever is in the file.
_TYPES = {
    "mp4": "video/mp4",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "opus": "audio/ogg",
}
_UNKNOWN = "application/octet-stream"


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
    with call.runtime.reading() as db:
        row = downloads.get(db, download_id, owner_id=visible_owner(call))
        db.expunge(row)
    found = open_published(call.settings, row)
    status = found.status
    known_by = f"{row.id}\n{status.st_ino}\n{status.st_size}\n{status.st_mtime_ns}".encode()
    return files.send(
        found.file,
        size=status.st_size,
        modified=datetime.fromtimestamp(status.st_mtime, UTC),
        tag=keys.sign(call.settings, _PURPOSE, known_by)[:16].hex(),
        name=found.name,
        media_type=_TYPES.get(found.container, _UNKNOWN),
        inline=query["inline"],
    )
