"""Downloads one resource, or a byte range, into a file: resumes after broken connections, never mixes two versions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import IO, NamedTuple

from yt_dlp.networking.exceptions import HTTPError  # type: ignore[import-untyped]

from engine.clients.fetch_errors import FetchError
from engine.clients.streams.source import RangesUnsupported, RetryLimit, Source, Span, StreamAnswer

_LARGEST_BLOCK = 1 << 18  # bytes that a broken connection may lose
_OVERLAP = 1 << 12  # bytes requested again and compared when resuming without a validator
_LARGEST_SKIP = 1 << 26  # bytes skipped at most if a site sends the whole resource instead of a range


class Version(NamedTuple):
    """A version of a resource: its strong validator, and its size in bytes."""

    validator: str | None = None
    size: int | None = None


UNKNOWN = Version()


class Transfer:
    """The transfer of one resource into `file`, which may already have its beginning.

    Args:
        span: the byte range to fetch; None: the whole resource.
        chunk: the most bytes per request; None: no limit.
        version: the version that the beginning in the file is of.
        on_version: called with the version before its first byte is written.
        arrived: called after each block with the number of bytes in the file.
    """

    def __init__(
        self,
        source: Source,
        url: str,
        file: IO[bytes],
        *,
        arrived: Callable[[int], None],
        span: Span | None = None,
        chunk: int | None = None,
        version: Version = UNKNOWN,
        on_version: Callable[[Version], None] = lambda version: None,
    ) -> None:
        self._source, self._url, self._file = source, url, file
        self._first, self._end = span or Span(0, None)
        self._spanned, self._chunk = span is not None, chunk
        self._arrived, self._remember = arrived, on_version
        self._ranges = True  # whether Range requests may be used
        self._complete = False
        self._have = file.seek(0, 2)
        self.version = version if self._have else UNKNOWN
        self._remembered_version = self.version if self._have else None

    def run(self) -> Version:
        """Fetch until complete; returns the version, without a size if the site declared none.

        Raises:
            FetchError: truncated (also if it is empty); and see `Source.open`.
            yt_dlp.networking.exceptions.RequestError: the first error of the last consecutive failures.
        """
        tries, furthest = RetryLimit(), self._have
        while not self._complete:
            try:
                self._request()
            except Exception as error:  # noqa: BLE001 - raised again, unless another try may help
                tries.failed(error, self._have - furthest)
            furthest = max(furthest, self._have)
        if not self._have:
            raise FetchError("truncated", detail="an empty file")
        return self.version

    # -- requests ----------------------------------------------------------------------------------------------

    def _wanted_size(self) -> int | None:
        if self._end is not None:
            return self._end - self._first
        return self.version.size

    def _overlap(self) -> int:
        """How many of the bytes in the file to request again and compare, to detect a changed resource."""
        if self._have == self._wanted_size():
            return 1
        return 0 if self.version.validator else min(self._have, _OVERLAP)

    def _next_range(self, overlap: int) -> Span | None:
        first = self._first + self._have - overlap
        end = self._end
        if self._chunk and not self._spanned:
            end = min(first + self._chunk, self.version.size or first + self._chunk)
        if first or end is not None or self._source.ranges_only:
            return Span(first, end)
        return None

    def _request(self) -> None:
        size = self._wanted_size()
        if self._have and (not self._ranges or (size is not None and self._have > size)):
            self._restart()
        overlap = self._overlap()
        span = self._next_range(overlap) if self._ranges else None
        try:
            answer = self._source.open(self._url, span, self.version.validator if self._have else None)
        except RangesUnsupported:
            self._ranges = False
            raise
        except HTTPError as error:
            if error.status != 416 or not self._have:
                raise
            self._past_the_end(error)
            return
        with answer.response:
            if answer.partial:
                self._receive_part(answer, span, overlap)
            else:
                self._receive_whole(answer)

    # -- answers -----------------------------------------------------------------------------------------------

    def _receive_part(self, answer: StreamAnswer, span: Span | None, overlap: int) -> None:
        asked, length = span or Span(0, None), answer.length or 0
        known, found = self.version, Version(answer.validator, answer.total)
        most = length if asked.end is None else asked.end - asked.first
        if answer.first != asked.first or length > most:
            self._ranges = False
            raise RangesUnsupported("another range than the one that was asked for")
        if self._have and any(a and b and a != b for a, b in zip(known, found, strict=True)):
            raise self._changed()
        if overlap and answer.response.read(overlap) != self._tail(overlap):
            raise self._changed()
        self._set_version(Version(found.validator or known.validator, found.size or known.size))
        self._receive(answer, length - overlap)
        if (size := self._wanted_size()) is not None:
            self._complete = self._have == size
        else:  # the size is unknown: an answer shorter than requested is the last one
            self._complete = asked.end is None or length < most

    def _receive_whole(self, answer: StreamAnswer) -> None:
        """The answer is the whole resource: start from nothing; for a range, skip the bytes before it."""
        self._restart()
        self._set_version(Version(answer.validator, None if answer.encoded else answer.total))
        if not self._spanned:
            self._ranges = not answer.encoded and self._ranges
            self._receive(answer, answer.length)
            self._complete = True
            return
        end = self._end if self._end is not None else answer.total
        if answer.total is None or end is None or self._first > _LARGEST_SKIP:
            raise FetchError("unreadable", detail="something else than the range that was asked for")
        if answer.total < end:
            raise FetchError("truncated", detail="a file that ends before the range does")
        skipped = 0
        while skipped < self._first:
            block = answer.response.read(min(_LARGEST_BLOCK, self._first - skipped))
            if not block:
                raise FetchError("truncated", detail="ended before the range")
            skipped += len(block)
            self._arrived(0)
        self._receive(answer, end - self._first)
        self._complete = True

    def _past_the_end(self, error: HTTPError) -> None:
        """A 416 after the last byte: complete, if the site declares the same size."""
        with error.response:
            total = (error.response.headers.get("Content-Range") or "").removeprefix("bytes */")
        if not self._spanned and total == str(self._have) and self.version.size in {None, self._have}:
            self._complete = True
            return
        self._ranges = False
        raise FetchError("truncated", detail="the file has become shorter") from error

    # -- the file ----------------------------------------------------------------------------------------------

    def _receive(self, answer: StreamAnswer, length: int | None) -> None:
        """Append `length` bytes, or all, in blocks of about a quarter of a second, so that progress is regular."""
        left, block = length, 1024
        while left is None or left > 0:
            began = time.monotonic()
            data = answer.response.read(block if left is None else min(block, left))
            if not data:
                break
            self._file.write(data)
            self._file.flush()
            self._have += len(data)
            left = None if left is None else left - len(data)
            self._arrived(self._have)
            brought = len(data) / max(time.monotonic() - began, 1e-4) / 4
            block = int(max(1024, min(brought, block * 2, _LARGEST_BLOCK)))
        if left:
            raise FetchError("truncated", detail=f"{left} bytes are missing")

    def _tail(self, length: int) -> bytes:
        self._file.seek(self._have - length)
        return self._file.read(length)

    def _restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._have, self.version = 0, UNKNOWN

    def _changed(self) -> FetchError:
        self._restart()
        return FetchError("truncated", detail="the file changed at the site")

    def _set_version(self, version: Version) -> None:
        self.version = version
        if version != self._remembered_version:
            self._remember(version)
            self._remembered_version = version
