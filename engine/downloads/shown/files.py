"""The finished file of a download, opened for reading: exactly what was published, or a reason in words."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

import structlog

from config.settings import Settings
from engine.errors import Conflict, NotFound, ServiceUnavailable
from engine.storage.confined_open import NotAFile, open_below
from engine.storage.file_identity import is_same
from engine.storage.layout import STAGING
from models.download import Download

log = structlog.get_logger(__name__)

# The name was replaced between lstat and open.
_EXCHANGED = {errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO}


@dataclass(frozen=True)
class PublishedFile:
    """An open file; the caller closes it.

    Attributes:
        file: unbuffered.
        name: its file name as it was published.
        container: such as `mp4`.
        status: of the open file.
    """

    file: BinaryIO
    name: str
    container: str
    status: os.stat_result


def open_published(settings: Settings, row: Download) -> PublishedFile:
    """Open the file of a completed download, as it was published: by inode, size and time, through no symbolic link.

    Of downloads of a release before these were noted only the size must match.

    Raises:
        Conflict: it is not completed, or something else is in the file's place by now.
        NotFound: the file is gone.
        ServiceUnavailable: this host has no download folder at the moment, or may not read the file.
    """
    if row.status != "completed" or row.file is None:
        raise Conflict(f"It is not completed, and has no file yet: it is {row.status}.")
    path = str(row.file["path"])
    file = os.fdopen(_opened(settings, path), "rb", buffering=0)
    status = os.fstat(file.fileno())
    if not is_same(status, row.published or {"size": row.file["size"]}):
        file.close()
        raise _replaced()
    return PublishedFile(file, PurePosixPath(path).name, str(row.file["container"]), status)


def _opened(settings: Settings, path: str) -> int:
    try:
        return open_below(settings.download_dir, path)
    except NotAFile:
        raise _replaced() from None
    except OSError as error:
        if error.errno in _EXCHANGED:
            raise _replaced() from None
        if not isinstance(error, FileNotFoundError):
            log.error("download.file_unreadable", error=errno.errorcode.get(error.errno or 0))
            raise ServiceUnavailable("The file can't be read at the moment.") from None
    if not (settings.download_dir / STAGING).is_dir():
        raise ServiceUnavailable("The download folder is not there on this server at the moment.")
    raise NotFound("The file is gone: it was removed, renamed or moved after it was downloaded.")


def _replaced() -> Conflict:
    return Conflict("Something else is in the place of the downloaded file by now; it is not handed out.")
