"""The answer with the finished file of a download, to save it or to play it."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Response

from api.operations.call import Call
from api.wire import files
from engine.downloads import downloads
from engine.downloads.changes import visible_owner
from engine.downloads.shown.files import open_published
from engine.secrets import keys

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


def sent_file(call: Call, download_id: str, *, inline: bool) -> Response:
    """The file of a completed download that the caller may see, or the range of it that they ask for.

    Args:
        call: without a unit of work.
        download_id: of the download.
        inline: it is played in a browser instead of saved.

    Raises:
        NotFound: there is no such download, or its file is gone.
        Conflict: it is not completed, or something else is in its place.
    """
    with call.runtime.reading() as db:
        row = downloads.get(db, download_id, owner_id=visible_owner(call.identity))
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
        inline=inline,
    )
