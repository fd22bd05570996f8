"""Turns exceptions of a fetch into a `FetchError`, by their types, HTTP statuses and texts."""

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
from engine.clients.fetch_errors import FAILURE_KINDS, FetchError
from engine.clients.media.probe import NotMediaError
from engine.clients.retry_after import seconds_to_wait
from engine.clients.ytdlp.words import bounded, cleaned, kind_by_text

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
# Kinds that a connection refused by the egress guard may be reported as, after yt-dlp went on without it.
_MAY_HIDE_REFUSAL = {
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

_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN}


def classify(error: BaseException) -> FetchError:
    """The failure's kind; a `FetchError` anywhere among the causes is returned as it is.

    In order: a refusal by the egress guard; errno; broken HTTP; the HTTP status, unless the text names a bot check;
    the text; the exception's type, which comes last as yt-dlp uses one type (ExtractorError) for everything.
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
    words, detail = kind_by_text(text), cleaned(text)
    if words == "disk_full" and any(isinstance(cause, ExtractorError) for cause in causes):
        words = None  # the text came from the site, so it is not about our disk
    status = None if words == "bot_check" else _by_status(causes, text)
    kind = _by_errno(causes) or _by_protocol(causes) or status or words or _by_type(causes) or "internal"
    if kind in _MAY_HIDE_REFUSAL and egress_guard.refused():
        return FetchError("blocked_address", detail=f"{egress_guard.refused()}; then {detail}")
    return FetchError(
        kind, message=_message(kind, causes, detail), detail=detail, retry_after=_retry_after(causes)
    )


def _message(kind: str, causes: list[BaseException], detail: str) -> str | None:
    """A message with the site's details: in which countries it is available, when it begins; None: the default."""
    if kind == "geo":
        return _where_available(causes)
    refused = next((cause.status for cause in causes if isinstance(cause, HTTPError)), None)
    if kind == "unreadable" and refused is not None:
        return f"The site refused the question (status {refused})."
    begins = re.search(r"(?i)(premieres in|will begin in) [\w ]+", detail)
    return (
        f"{FAILURE_KINDS[kind].message} It {begins[0].lower()}."
        if kind == "live_not_started" and begins
        else None
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and all its causes and contexts, outermost first."""
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
    """Errors of this host's disk or network; sockets raise OSError too, but never with a file name."""
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return "disk_full"
        if isinstance(cause, OSError) and cause.errno in _UNWRITABLE and cause.filename is not None:
            return "storage"
        if _is_offline(cause):
            return "offline"
    return None


def _is_offline(cause: BaseException) -> bool:
    """Whether this host's network is down; a host name that does not exist is another kind."""
    if isinstance(cause, socket.gaierror):
        return cause.errno == socket.EAI_AGAIN
    return isinstance(cause, OSError) and cause.errno in _UNREACHABLE


def _by_protocol(causes: list[BaseException]) -> str | None:
    """Violations of HTTP, which yt-dlp reports as failed connections."""
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
            case RequestError():  # an invalid URL from the site, or an invalid answer
                return "malformed"
            case MemoryError() | RecursionError():
                return "unreadable"
            case PostProcessingError():
                return "processing"
    if any(isinstance(cause, ExtractorError) or _is_raised_by_ytdlp(cause) for cause in causes):
        return "unreadable"
    return "unreadable" if all(isinstance(cause, YoutubeDLError) for cause in causes) else None


def _is_raised_by_ytdlp(cause: BaseException) -> bool:
    """Whether it was raised in yt-dlp or below, so that the site's data caused it."""
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
    if status < 400:  # a redirect without a usable target
        return "malformed"
    return _BY_STATUS.get(status, "unreadable")


def _retry_after(causes: list[BaseException]) -> float | None:
    answers = (cause.response for cause in causes if isinstance(cause, HTTPError))
    found = (seconds_to_wait(answer.headers.get("Retry-After")) for answer in answers)
    return next((seconds for seconds in found if seconds is not None), None)


def _where_available(causes: list[BaseException]) -> str | None:
    for cause in causes:
        if isinstance(cause, GeoRestrictedError) and cause.countries:
            names = [ISO3166Utils.short2full(code) or code for code in cause.countries]
            shown = ", ".join(names[:8]) + (" and others" if len(names) > 8 else "")
            return f"{FAILURE_KINDS['geo'].message} It is available in {shown}."
    return None


__all__ = ["classify", "cleaned"]
