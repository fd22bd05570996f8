"""Answers with a file: a range of it or all (RFC 9110), its name in any script (RFC 6266), and nothing that runs."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import BinaryIO
from urllib.parse import quote

from flask import Response, request
from werkzeug.http import http_date, quote_etag
from werkzeug.wsgi import FileWrapper

from api.wire.envelope import failure
from engine.storage.filenames import safe_text

HAND_OVER = (
    "medianest.hand_over"  # in a request's environment where the web worker sends a `FilePiece` by itself
)
HEADERS = {
    "ETag": "Names this file: in `If-None-Match` for a 304, in `If-Range` to get all of a file that is another now.",
    "Last-Modified": "When the file was written.",
    "Accept-Ranges": "`bytes`: with one range in `Range` that part is a 206.",
    "Content-Range": "Of a 206: which bytes of how many; of a 416: how many there are.",
    "Content-Disposition": "`attachment` or `inline`, and the name of the file.",
}
# Whatever the bytes are: opened in a browser they are a document of no origin, without scripts, forms or requests.
POLICY = "sandbox; default-src 'none'; media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_VARY = ("Authorization", "Cookie", "X-Api-Key")
_UNQUOTED = "!#$&+-.^_`|~"  # attr-char of RFC 8187, with letters and digits
_CHUNK = 64 * 1024


@dataclass
class FilePiece:
    """A part of an open file.

    Attributes:
        file: unbuffered; is closed with the piece.
        offset: where it goes on. left: how many bytes.
    """

    file: BinaryIO
    offset: int
    left: int

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; none at the end."""
        self.file.seek(self.offset)
        data = self.file.read(min(size, self.left))
        self.offset += len(data)
        self.left -= len(data)
        return data

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def send(
    file: BinaryIO, *, size: int, modified: datetime, tag: str, name: str, media_type: str, inline: bool
) -> Response:
    """Answer with a file, or what the request asks for of it; the file is closed when that is sent.

    Args:
        file: open, unbuffered.
        size: bytes.
        modified: when it was written.
        tag: differs for whatever may differ by one byte.
        name: for the client to save it as.
        media_type: of the file.
        inline: whether a browser is to show it instead of saving it.
    """
    headers = {
        "ETag": quote_etag(tag),
        "Last-Modified": http_date(modified),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",  # each use asks whether the user may still see it
        "Content-Disposition": disposition(name, inline=inline),
        "Content-Security-Policy": POLICY,
    }
    start, end, status = 0, size, 200
    if _unchanged(tag, modified):
        status = 304
    elif (wanted := _wanted(size, headers)) is not None:
        (start, end), status = wanted, 206
        if start >= end:
            file.close()
            return _unsatisfiable(size)
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    response = Response(status=status, headers=headers)
    response.vary.update(_VARY)
    if status != 304:
        response.mimetype = media_type
        response.content_length = end - start
    if status == 304 or request.method == "HEAD":
        file.close()
    else:
        _attach(response, FilePiece(file, start, end - start))
    return response


def disposition(name: str, *, inline: bool) -> str:
    """The value of `Content-Disposition`: the name in ASCII, and in UTF-8 where that is another (RFC 6266, 8187).

    Control characters, and those that turn the direction of the text around, are dropped; separators are replaced.
    """
    kind = "inline" if inline else "attachment"
    full = safe_text(name) or "file"
    plain = unicodedata.normalize("NFKD", full).encode("ascii", "ignore").decode()
    # Browsers decode a percent sign in the plain form, some of them; and a quote would end it.
    plain = " ".join(plain.translate(str.maketrans('%"\\', "___")).split()).strip(" .") or "file"
    extended = "" if plain == full else f"; filename*=UTF-8''{quote(full, safe=_UNQUOTED)}"
    return f'{kind}; filename="{plain}"{extended}'


def _unchanged(tag: str, modified: datetime) -> bool:
    """Whether the client has this file already (RFC 9110, 13.2.2: the tag decides where there is one)."""
    if request.headers.get("If-None-Match") is not None:
        return request.if_none_match.contains_weak(tag)
    since = request.if_modified_since
    return since is not None and modified.replace(microsecond=0) <= since


def _wanted(size: int, headers: dict[str, str]) -> tuple[int, int] | None:
    """The first byte and the one behind the last; None for all of them, empty where there are no such bytes.

    What can't be understood is ignored, as are several ranges, which RFC 9110 allows.
    """
    asked, holds_for = request.range, request.headers.get("If-Range")
    if request.method != "GET" or asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return None
    if holds_for is not None and holds_for not in {headers["ETag"], headers["Last-Modified"]}:
        return None
    start, end = asked.ranges[0]
    if start < 0:
        return max(0, size + start), size
    return start, size if end is None else min(end, size)


def _unsatisfiable(size: int) -> Response:
    words = f"The file has {size:,} bytes; the range begins behind them."
    there = {"Content-Range": f"bytes */{size}"}
    return failure("VALIDATION_ERROR", words, 416, {"Range": [words]}, there)


class _HandedOver:
    """An empty body: the web worker sends the piece behind the headers, once this is closed."""

    def __init__(self, piece: FilePiece, hand_over: Callable[[FilePiece], None]) -> None:
        self.close = partial(hand_over, piece)

    def __iter__(self) -> Iterator[bytes]:
        return iter(())


def _attach(response: Response, piece: FilePiece) -> None:
    """Let the web worker send the piece; another server, as in tests, reads it with the thread of the request."""
    hand_over = request.environ.get(HAND_OVER)
    response.direct_passthrough = True
    response.response = _HandedOver(piece, hand_over) if hand_over else FileWrapper(piece, _CHUNK)  # type: ignore[arg-type]
