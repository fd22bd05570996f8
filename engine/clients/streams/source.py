"""HTTP requests of a stream's transfer, with the format's headers; answers are checked (RFC 9110).

This is the only place where a transfer uses yt-dlp: its `urlopen` brings the egress guard, cookies, redirects and
timeouts.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from yt_dlp import YoutubeDL  # type: ignore[import-untyped]
from yt_dlp.networking import Request, Response  # type: ignore[import-untyped]
from yt_dlp.networking.exceptions import (  # type: ignore[import-untyped]
    CertificateVerifyError,
    HTTPError,
    TransportError,
)

from engine.clients.fetch_errors import FetchError

_TRIES = 3  # consecutive tries without a new byte
_PAUSE = 0.1  # seconds before the next try, growing with the failures
_SMALL = 1 << 16  # bytes; after a try that brought fewer there is a pause
_TRANSIENT = {404, 408, 425}  # besides 5xx: CDNs send them while a file is not distributed yet
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


class Span(NamedTuple):
    """A byte range of a resource, `end` exclusive; None: up to its end."""

    first: int
    end: int | None


@dataclass(frozen=True)
class StreamAnswer:
    """A site's answer.

    Attributes:
        partial: it is a 206 (RFC 9110). first, length, total: offset, number of bytes and the resource's size; None if
            not declared. validator: a strong validator (8.8.1), for If-Range.
        encoded: the body had a content coding and comes decoded, so the headers' numbers don't apply to it.
    """

    response: Response
    partial: bool
    first: int
    length: int | None
    total: int | None
    validator: str | None
    encoded: bool


class Source:
    """Sends requests for one stream, with the headers of yt-dlp's format dictionary."""

    def __init__(self, ydl: YoutubeDL, stream: Mapping[str, Any]) -> None:
        self._ydl = ydl
        headers = {str(name): str(value) for name, value in (stream.get("http_headers") or {}).items()}
        # Some extractors set Range, as their site requires it in every request.
        self.ranges_only = any(name.lower() == "range" for name in headers)
        self._headers = {name: value for name, value in headers.items() if name.lower() != "range"}
        self._data = stream.get("request_data")

    def open(self, url: str, span: Span | None = None, if_range: str | None = None) -> StreamAnswer:
        """Request a resource or a byte range of it; the caller closes the response.

        Raises:
            FetchError: live_now (a radio station); truncated (an unexpected status or an invalid Content-Range).
            yt_dlp.networking.exceptions.RequestError: no answer, or an error status.
        """
        headers = {"Accept-Encoding": "identity", **self._headers}
        if span is not None:
            headers["Range"] = f"bytes={span.first}-{'' if span.end is None else span.end - 1}"
            if if_range:
                headers["If-Range"] = if_range
        response = self._ydl.urlopen(Request(url, self._data, headers))
        try:
            return _read(response)
        except BaseException:
            response.close()
            raise

    def text(self, url: str, begins: bytes = b"") -> tuple[bytes, str]:
        """Body and final URL of a small resource; only its first 512 bytes if it doesn't begin with `begins`."""
        tries = RetryLimit()
        while True:
            try:
                with self._ydl.urlopen(Request(url, None, self._headers)) as response:
                    _refuse_radio(response)
                    head = bytes(response.read(512))
                    fits = head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(begins)
                    return (head + bytes(response.read()) if fits else head), str(response.url)
            except (HTTPError, TransportError) as error:
                tries.failed(error, 0)


class RetryLimit:
    """Limits consecutive tries without progress; a try that brought new bytes resets the count."""

    def __init__(self) -> None:
        self._failures: list[Exception] = []

    def failed(self, error: Exception, brought: int) -> None:
        """Return after a pause if another try may help; otherwise raise the first of the consecutive errors."""
        if not _is_transient(error):
            raise error
        if isinstance(error, HTTPError):
            error.close()
        if brought > 0:
            self._failures.clear()
        else:
            self._failures.append(error)
        if len(self._failures) >= _TRIES:
            raise self._failures[0]
        if brought < _SMALL:
            time.sleep(_PAUSE * max(1, len(self._failures)))


def _is_transient(error: Exception) -> bool:
    if isinstance(error, HTTPError):
        return error.status >= 500 or error.status in _TRANSIENT
    if isinstance(error, FetchError):
        return error.kind == "truncated"
    return isinstance(error, TransportError) and not isinstance(error, CertificateVerifyError)


def _read(response: Response) -> StreamAnswer:
    _refuse_radio(response)
    headers = response.headers
    encoded = (headers.get("Content-Encoding") or "identity").strip().lower() not in {"identity", ""}
    declared = headers.get("Content-Length") or ""
    length = int(declared) if re.fullmatch(r"\d{1,18}", declared) and not encoded else None
    if response.status != 206:
        if response.status not in {200, 203, None}:  # a `data:` address has none
            raise FetchError("truncated", detail=f"status {response.status} instead of a file")
        return StreamAnswer(response, False, 0, length, length, _validator(headers), encoded)
    found = _RANGE.fullmatch((headers.get("Content-Range") or "").strip())
    if found is None or encoded:
        raise RangesUnsupported("status 206 without a usable Content-Range")
    first, last = int(found[1]), int(found[2])
    total = None if found[3] == "*" else int(found[3])
    if last < first or (total is not None and last >= total) or length not in {None, last - first + 1}:
        raise RangesUnsupported("a Content-Range that contradicts itself or the Content-Length")
    return StreamAnswer(response, True, first, last - first + 1, total, _validator(headers), encoded)


class RangesUnsupported(FetchError):
    """The site's answers to Range requests are wrong: the resource has to be requested without a range."""

    def __init__(self, detail: str) -> None:
        super().__init__("truncated", detail=detail)


def _refuse_radio(response: Response) -> None:
    """Refuse Icecast and similar streams: they have `icy-` headers and, unlike files on such servers, no length."""
    names = {name.lower() for name in response.headers}
    if "content-length" not in names and any(name.startswith("icy-") for name in names):
        raise FetchError("live_now", detail="a radio station")


def _validator(headers: Any) -> str | None:
    """A strong ETag, or a Last-Modified at least one second before Date (RFC 9110, 8.8.2.2)."""
    tag: str | None = headers.get("ETag")
    if tag and tag.startswith('"'):
        return tag
    changed: str | None = headers.get("Last-Modified")
    try:
        age = parsedate_to_datetime(headers.get("Date") or "") - parsedate_to_datetime(changed or "")
    except (TypeError, ValueError):
        return None
    return changed if age >= timedelta(seconds=1) else None
