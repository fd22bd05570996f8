"""Asks a stream's site: each request through yt-dlp with the stream's own headers, each answer read for what it is.

This is the one place that leans on yt-dlp for a transfer: its `urlopen` brings the guard, the cookies, the redirects
and the time limits, its exceptions say what went wrong.
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

_TRIES = 3  # that bring nothing, one after the other
_PAUSE = 0.1  # seconds before the next try, growing
_LITTLE = 1 << 16  # bytes; whoever brings less at a time is not asked again without a pause
_PASSING = {404, 408, 425}  # statuses of content networks that do not have something yet, besides 5xx
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


class Span(NamedTuple):
    """Bytes of a resource from `first` up to, not including, `end`; None: to its end."""

    first: int
    end: int | None


@dataclass(frozen=True)
class StreamAnswer:
    """What a site sends: the bytes from `first` on, `length` of them where it says so, of `total` in all.

    `partial` is the 206 of RFC 9110; `validator` a strong one (8.8.1), that is, of these very bytes. `encoded`: the
    body comes unpacked, so that no number in the headers is about it.
    """

    response: Response
    partial: bool
    first: int
    length: int | None
    total: int | None
    validator: str | None
    encoded: bool


class Source:
    """The site of one stream, by yt-dlp's description of the format."""

    def __init__(self, ydl: YoutubeDL, stream: Mapping[str, Any]) -> None:
        self._ydl = ydl
        headers = {str(name): str(value) for name, value in (stream.get("http_headers") or {}).items()}
        # Some extractors know that their site wants every request to have a range.
        self.ranges_only = any(name.lower() == "range" for name in headers)
        self._headers = {name: value for name, value in headers.items() if name.lower() != "range"}
        self._data = stream.get("request_data")

    def open(self, url: str, span: Span | None = None, if_range: str | None = None) -> StreamAnswer:
        """Ask for a resource or a part of it; the answer is closed by who reads it.

        Raises:
            FetchError: live_now, a radio station; truncated, an answer that fits no question.
            yt_dlp.networking.exceptions.RequestError: no answer, or an error of the site's.
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
        """A small resource as a whole, and the address it came from; only its first bytes if it does not begin so."""
        tries = FruitlessTries()
        while True:
            try:
                with self._ydl.urlopen(Request(url, None, self._headers)) as response:
                    _refuse_radio(response)
                    head = bytes(response.read(512))
                    fits = head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(begins)
                    return (head + bytes(response.read()) if fits else head), str(response.url)
            except (HTTPError, TransportError) as error:
                tries.failed(error, 0)


class FruitlessTries:
    """Counts the tries that brought nothing; one that got further starts the count anew."""

    def __init__(self) -> None:
        self._fruitless: list[Exception] = []

    def failed(self, error: Exception, brought: int) -> None:
        """Return, after a pause, if it is worth another try; else raise the first error of the fruitless ones."""
        if not _may_pass(error):
            raise error
        if isinstance(error, HTTPError):
            error.close()
        if brought > 0:
            self._fruitless.clear()
        else:
            self._fruitless.append(error)
        if len(self._fruitless) >= _TRIES:
            raise self._fruitless[0]
        if brought < _LITTLE:
            time.sleep(_PAUSE * max(1, len(self._fruitless)))


def _may_pass(error: Exception) -> bool:
    if isinstance(error, HTTPError):
        return error.status >= 500 or error.status in _PASSING
    if isinstance(error, FetchError):
        return error.kind == "truncated"
    return isinstance(error, TransportError) and not isinstance(error, CertificateVerifyError)


def _read(response: Response) -> StreamAnswer:
    _refuse_radio(response)
    headers = response.headers
    encoded = (headers.get("Content-Encoding") or "identity").strip().lower() not in {"identity", ""}
    said = headers.get("Content-Length") or ""
    length = int(said) if re.fullmatch(r"\d{1,18}", said) and not encoded else None
    if response.status != 206:
        if response.status not in {200, 203, None}:  # a `data:` address has none
            raise FetchError("truncated", detail=f"status {response.status} instead of a file")
        return StreamAnswer(response, False, 0, length, length, _validator(headers), encoded)
    found = _RANGE.fullmatch((headers.get("Content-Range") or "").strip())
    if found is None or encoded:
        raise Unranged("status 206 without a usable Content-Range")
    first, last = int(found[1]), int(found[2])
    total = None if found[3] == "*" else int(found[3])
    if last < first or (total is not None and last >= total) or length not in {None, last - first + 1}:
        raise Unranged("a Content-Range that contradicts itself or the Content-Length")
    return StreamAnswer(response, True, first, last - first + 1, total, _validator(headers), encoded)


class Unranged(FetchError):
    """The site does not do ranges rightly: what is wanted has to be asked for without one."""

    def __init__(self, detail: str) -> None:
        super().__init__("truncated", detail=detail)


def _refuse_radio(response: Response) -> None:
    """Icecast and its like name the station in each answer; a file on such a server has a length, a station none."""
    names = {name.lower() for name in response.headers}
    if "content-length" not in names and any(name.startswith("icy-") for name in names):
        raise FetchError("live_now", detail="a radio station")


def _validator(headers: Any) -> str | None:
    """A strong ETag, or a date of change that lies before the answer (RFC 9110, 8.8.2.2)."""
    tag: str | None = headers.get("ETag")
    if tag and tag.startswith('"'):
        return tag
    changed: str | None = headers.get("Last-Modified")
    try:
        age = parsedate_to_datetime(headers.get("Date") or "") - parsedate_to_datetime(changed or "")
    except (TypeError, ValueError):
        return None
    return changed if age >= timedelta(seconds=1) else None
