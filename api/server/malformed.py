"""Requests that can't be parsed: counted for their address, and answered in the envelope of all answers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import orjson
from gunicorn import util  # type: ignore[import-untyped]
from gunicorn.http import errors as refused  # type: ignore[import-untyped]

from api.log_throttle import ThrottledWarning
from api.security.headers import ALWAYS, DATA_POLICY
from api.security.rate_limits import headers_of
from api.server.arriving import BrokenOff
from config.settings import Settings
from engine.rate_limits.limits import Asker, RateLimiter, RateLimitExceeded

_REASONS = {400: "Bad Request", 429: "Too Many Requests", 500: "Internal Server Error"}
_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (refused.LimitRequestLine, "its first line is too long: up to 8,190 bytes are accepted"),
    (
        refused.LimitRequestHeaders,
        "its headers are too large: up to 100 are accepted, of 8,190 bytes each and 64 KB together",
    ),
    (refused.InvalidRequestMethod, "its method is none of HTTP's: send GET, POST, PUT, PATCH or DELETE"),
    (refused.InvalidHTTPVersion, "its version is not accepted: send HTTP/1.1"),
    (refused.InvalidRequestLine, "its first line must be a method, an address and HTTP/1.1, ended by CR LF"),
    (refused.ObsoleteFolding, "a header goes over several lines: send each on one"),
    (refused.UnsupportedTransferCoding, "its Transfer-Encoding is not accepted: send chunked, or none"),
    (refused.ExpectationFailed, "its Expect is not accepted: send 100-continue, or none"),
    (refused.InvalidHeaderName, "the name of a header is not valid"),
    (refused.InvalidHeader, "a header is not valid: each is a name, a colon and a value, ended by CR LF"),
    (BrokenOff, "it ended before it was complete"),
)

_seen = ThrottledWarning("request.malformed")


class Malformed:
    """Answers requests that could not be parsed, in one process.

    Args:
        limiter: counts them as requests of an anonymous address.
        settings: as they are now.
    """

    def __init__(self, limiter: RateLimiter, settings: Callable[[], Settings]) -> None:
        self._limiter, self._settings = limiter, settings

    def refuse(self, sock: Any, address: str | None, error: Exception, *, counted: bool) -> None:
        """Answer 400, or 429 where there were too many; the connection is the caller's to close.

        Args:
            sock: takes the answer.
            address: of the peer.
            error: of the parser; its text holds bytes of the client, and is not shown.
            counted: False for a proxy, which passes on requests of many clients.
        """
        _seen.note(reason=type(error).__name__, address=address)
        verdict = None
        if counted:
            try:
                verdict = self._limiter.take(self._settings(), ["anonymous", "global"], Asker(address))
            except RateLimitExceeded as exceeded:
                retry = {"Retry-After": str(exceeded.verdict.retry_after)}
                answer(sock, 429, exceeded.code, exceeded.message, retry | headers_of(exceeded.verdict))
                return
        said = next((words for kind, words in _WORDS if isinstance(error, kind)), "it is not HTTP")
        answer(sock, 400, "VALIDATION_ERROR", f"The request is malformed: {said}.", headers_of(verdict))


def answer(
    sock: Any, status: int, code: str, words: str, headers: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Write an answer in the envelope by hand: there is no request that an application could answer."""
    correlation = secrets.token_hex(16)
    details = {"request": [words]} if code == "VALIDATION_ERROR" else None
    error = {"code": code, "message": words, "details": details}
    body = orjson.dumps({"success": False, "error": error, "correlationId": correlation})
    fields = {
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "X-Correlation-ID": correlation,
        "Content-Security-Policy": DATA_POLICY,
        **ALWAYS,
        **headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    util.write_nonblock(sock, f"HTTP/1.1 {status} {_REASONS[status]}\r\n{lines}\r\n".encode() + body)


def failed(sock: Any, status: int, reason: str, message: str) -> None:
    """Answer where gunicorn itself fails at a request; it would send a page of HTML."""
    answer(sock, 500, "INTERNAL_ERROR", "Something went wrong on our side.")
