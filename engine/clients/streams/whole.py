"""Fetches a stream that is a single file."""

from __future__ import annotations

from engine.clients.streams.files import StreamFiles, read_note, write_note
from engine.clients.streams.report import TransferReport
from engine.clients.streams.source import Source
from engine.clients.streams.transfer import UNKNOWN, Transfer, Version


def fetch(
    source: Source,
    url: str,
    files: StreamFiles,
    report: TransferReport,
    *,
    chunk: int | None,
    resumable: bool,
) -> int | None:
    """Complete the part file; returns its size in bytes by the site's headers, None if they have none.

    Args:
        chunk: the most bytes per request, as some sites throttle larger ones; None: no limit.
        resumable: whether to resume an earlier attempt's part file.

    Raises:
        FetchError, yt_dlp.networking.exceptions.RequestError: see `Transfer.run`.
    """
    version = _version(files) if resumable and files.part.exists() else None
    if version is None:
        files.part.unlink(missing_ok=True)

    def on_version(found: Version) -> None:
        report.expect(total=found.size)
        write_note(files.version, found._asdict())

    with files.part.open("r+b" if version else "w+b") as file:
        report.expect(total=version.size if version else None)
        transfer = Transfer(
            source,
            url,
            file,
            arrived=report.arrived,
            chunk=chunk,
            version=version or UNKNOWN,
            on_version=on_version,
        )
        return transfer.run().size


def _version(files: StreamFiles) -> Version | None:
    note = read_note(files.version)
    try:
        return Version(**note) if note else None
    except TypeError:
        return None
