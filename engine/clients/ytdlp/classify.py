"""Recognises what went wrong while fetching: from exceptions and their wording to a `FetchError`."""

from __future__ import annotations

import errno
import http.client
import re
import socket
from collections.abc import Iterator

import requests.exceptions
import urllib3.exceptions
from yt_dlp.networking.exceptions import (  # type: ignore[import-untyped]
    HTTPError,
    IncompleteRead,
    NoSupportingHandlers,
    RequestError,
    TransportError,
    UnsupportedRequest,
)
from yt_dlp.utils import (  # type: ignore[import-untyped]
    ContentTooShortError,
    ExtractorError,
    GeoRestrictedError,
    ISO3166Utils,
    PostProcessingError,
    UnsupportedError,
    UserNotLive,
    YoutubeDLError,
)

from engine.clients import egress_guard
from engine.clients.fetch_errors import VERDICTS, FetchError
from engine.clients.media.probe import NotMediaError
from engine.clients.ytdlp.words import bounded, by_words, cleaned

_STATUS_IN_TEXT = re.compile(r"HTTP Error (\d{3})")
_BY_STATUS = {
    401: "login",
    403: "forbidden",
    404: "not_found",
    408: "network",
    410: "gone",
    429: "rate_limited",
}
_BY_STATUS |= {451: "geo", 402: "members", 425: "upstream", 416: "truncated"}
# What a connection refused by the guard may look like once yt-dlp went on without it.
_DISGUISES = {
    "network",
    "offline",
    "no_format",
    "unsupported",
    "unreadable",
    "truncated",
    "internal",
    "removed",
}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ENOENT, errno.ENOTDIR}

_NO_WAY = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN}


def classify(error: BaseException) -> FetchError:
    """Name the failure; a `FetchError` anywhere among the causes is returned as it is.

    A status of HTTP says more than the words around it, except when those speak of robots; words come before
    the type of the exception, because one type (ExtractorError) carries them all. A refusal of the guard comes
    before all of them.
    """
    causes = list(_causes(error))
    ours = next((cause for cause in causes if isinstance(cause, FetchError)), None)
    if ours is not None:
        return ours
    blocked = next(
        (str(cause) for cause in causes if isinstance(cause, egress_guard.BlockedAddressError)), None
    )
    if blocked is not None:
        return FetchError("blocked_address", detail=blocked)
    text = bounded(str(error))
    words, detail = by_words(text), cleaned(text)
    if words == "disk_full" and any(isinstance(cause, ExtractorError) for cause in causes):
        words = None  # a site's words about a disk are not about ours
    status = None if words == "bot_check" else _by_status(causes, text)
    kind = _by_errno(causes) or _by_protocol(causes) or status or words or _by_type(causes) or "internal"
    if kind in _DISGUISES and egress_guard.refused():
        return FetchError("blocked_address", detail=f"{egress_guard.refused()}; then {detail}")
    return FetchError(
        kind, message=_message(kind, causes, detail), detail=detail, retry_after=_retry_after(causes)
    )


def _message(kind: str, causes: list[BaseException], detail: str) -> str | None:
    """The kind's sentence with what the site added to it: where the video may be seen, when it begins."""
    if kind == "geo":
        return _where_available(causes)
    refused = next((cause.status for cause in causes if isinstance(cause, HTTPError)), None)
    if kind == "unreadable" and refused is not None:
        return f"The site refused the question (status {refused})."
    begins = re.search(r"(?i)(premieres in|will begin in) [\w ]+", detail)
    return (
        f"{VERDICTS[kind].message} It {begins[0].lower()}." if kind == "live_not_started" and begins else None
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and all that it was made of, outermost first."""
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        kept = getattr(current, "exc_info", None) or (None, None, None)
        linked = (kept[1], getattr(current, "cause", None), current.__cause__, current.__context__)
        waiting.extend(other for other in linked if isinstance(other, BaseException))


def _by_errno(causes: list[BaseException]) -> str | None:
    """Trouble of our own disk or network; sockets raise OSError too, but never with a file name."""
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return "disk_full"
        if isinstance(cause, OSError) and cause.errno in _UNWRITABLE and cause.filename is not None:
            return "storage"
        if _is_offline(cause):
            return "offline"
    return None


def _is_offline(cause: BaseException) -> bool:
    """Whether it is this host that gets nowhere; a name that does not exist is the address's fault."""
    if isinstance(cause, socket.gaierror):
        return cause.errno == socket.EAI_AGAIN
    return isinstance(cause, OSError) and cause.errno in _NO_WAY


def _by_protocol(causes: list[BaseException]) -> str | None:
    """What breaks the rules of HTTP; the words around it speak of a connection that failed."""
    for cause in causes:
        match cause:
            case HTTPError() if cause.redirect_loop:
                return "redirects"
            case urllib3.exceptions.InvalidChunkLength():
                return "malformed"
            case http.client.RemoteDisconnected() | http.client.IncompleteRead():
                continue  # the connection broke
            case http.client.HTTPException() | urllib3.exceptions.DecodeError():
                return "malformed"
            case urllib3.exceptions.LocationParseError() | requests.exceptions.InvalidHeader():
                return "malformed"
    return None


def _by_type(causes: list[BaseException]) -> str | None:
    for cause in causes:
        match cause:
            case GeoRestrictedError():
                return "geo"
            case UnsupportedError() | UnsupportedRequest():
                return "unsupported"
            case NoSupportingHandlers() if not cause.unexpected_errors:
                return "unsupported"
            case UserNotLive():
                return "live_not_started"
            case ContentTooShortError() | IncompleteRead():
                return "truncated"
            case NotMediaError():
                return "not_media"
            case TransportError() | ConnectionError() | TimeoutError() | socket.gaierror():
                return "network"
            case RequestError():  # the address that a site names, or the form of its answer
                return "malformed"
            case MemoryError() | RecursionError():
                return "unreadable"
            case PostProcessingError():
                return "processing"
    if any(isinstance(cause, ExtractorError) or _raised_outside(cause) for cause in causes):
        return "unreadable"
    return "unreadable" if all(isinstance(cause, YoutubeDLError) for cause in causes) else None


def _raised_outside(cause: BaseException) -> bool:
    """Whether it was raised inside yt-dlp, or in what that called: a site's data tripped it up."""
    step = cause.__traceback__
    while step is not None:
        if str(step.tb_frame.f_globals.get("__name__")).partition(".")[0] == "yt_dlp":
            return True
        step = step.tb_next
    return False


def _by_status(causes: list[BaseException], text: str) -> str | None:
    for cause in causes:
        if isinstance(cause, HTTPError):
            return _of_status(cause.status)
    found = _STATUS_IN_TEXT.search(text)
    return _of_status(int(found[1])) if found else None


def _of_status(status: int) -> str:
    if status >= 500:
        return "upstream"
    if status < 400:  # a redirect that leads nowhere
        return "malformed"
    return _BY_STATUS.get(status, "unreadable")


def _retry_after(causes: list[BaseException]) -> float | None:
    """`Retry-After` in seconds (RFC 9110, 10.2.3), at most a day; its date form is not worth a clock."""
    for cause in causes:
        if isinstance(cause, HTTPError):
            value = (cause.response.headers.get("Retry-After") or "").strip()
            if value.isdecimal():
                return float(min(int(value[:9]), 86400))
    return None


def _where_available(causes: list[BaseException]) -> str | None:
    for cause in causes:
        if isinstance(cause, GeoRestrictedError) and cause.countries:
            names = [ISO3166Utils.short2full(code) or code for code in cause.countries]
            shown = ", ".join(names[:8]) + (" and others" if len(names) > 8 else "")
            return f"{VERDICTS['geo'].message} It is available in {shown}."
    return None


__all__ = ["classify", "cleaned"]
