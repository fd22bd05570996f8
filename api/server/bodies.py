"""Makes a malformed body, which the application reads, a 400 instead of a failure of ours."""

from __future__ import annotations

from typing import Any

from gunicorn.http.body import ChunkedReader  # type: ignore[import-untyped]
from gunicorn.http.errors import (  # type: ignore[import-untyped]
    InvalidChunkSize,
    NoMoreData,
    ParseException,
)
from werkzeug.exceptions import BadRequest

MOST_CHUNKS = 20_000  # each costs a turn of the interpreter, however little it holds


class MalformedBody(BadRequest):
    """A body that does not fit its headers; the connection is closed after the answer."""


class _BoundedChunks(ChunkedReader):  # type: ignore[misc]
    """A chunked body of at most `MOST_CHUNKS` chunks."""

    def __init__(self, req: Any, unreader: Any) -> None:
        super().__init__(req, unreader)
        self._chunks = 0

    def parse_chunk_size(self, unreader: Any, data: bytes | None = None) -> Any:
        """Read the line before a chunk."""
        self._chunks += 1
        if self._chunks > MOST_CHUNKS:
            raise InvalidChunkSize(b"too many chunks")
        return super().parse_chunk_size(unreader, data)


class _CheckedReader:
    """Reads for gunicorn's `Body`; raises `MalformedBody` for the errors of gunicorn's parser."""

    def __init__(self, req: Any) -> None:
        self.unreader = req.unreader  # sockets take what was read beyond their handshake from it
        self._req, self._reader = req, req.body.reader
        if isinstance(self._reader, ChunkedReader):
            self._reader = _BoundedChunks(req, req.unreader)

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end.

        Raises:
            MalformedBody: it is malformed, or breaks off.
        """
        try:
            data: bytes = self._reader.read(size)
        except (ParseException, NoMoreData):
            self._req.force_close()
            raise MalformedBody from None
        return data


def guard(req: Any) -> None:
    """Let the body of a gunicorn request raise `MalformedBody` where it is malformed or breaks off."""
    req.body.reader = _CheckedReader(req)
