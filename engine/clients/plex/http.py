"""HTTP as plex.tv and Plex servers want it: our name on every request, and errors of one family."""

from __future__ import annotations

import platform
import time
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Self, TypeVar

import structlog
from requests import Response
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_fixed

from engine.clients.foreign_json import NotJson
from engine.clients.gate import Gate, GateClosed
from engine.clients.http import HttpFailure, HttpSession, Limits
from engine.clients.plex import answers
from engine.clients.plex.errors import (
    PlexGarbled,
    PlexOutage,
    PlexUnreachable,
    of_failure,
    raise_for_status,
    unreachable,
)
from engine.clients.retry_after import seconds_to_wait

PRODUCT = "MediaNest"
LARGEST_BODY = 2 * 1024 * 1024
_CONNECT_SECONDS, _READ_SECONDS = 3.0, 8.0
_TRIES = 2
_PAUSE_SECONDS = 0.2

T = TypeVar("T")

log = structlog.get_logger(__name__)


class PlexClient:
    """Asks a Plex server with a token; not for several threads at once.

    Args:
        url: of the server.
        token: of its owner, or of somebody with whom it is shared.
        client_id: by which Plex knows this installation.
        limits: of each request.
        verify: whether certificates are checked.
    """

    def __init__(self, url: str, token: str, client_id: str, limits: Limits, *, verify: bool = True) -> None:
        self.url = url.rstrip("/")
        self.session = HttpSession(limits, {**headers(client_id), "X-Plex-Token": token}, verify=verify)

    def __enter__(self) -> Self:
        """Use it as a context."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.session.close()

    def container(self, path: str, **query: Any) -> Mapping[str, Any]:
        """The `MediaContainer` of an answer.

        Raises:
            PlexError: one of its kinds.
        """
        return answers.container(self.body(path, query))

    def body(
        self,
        path: str,
        query: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        most: int | None = None,
    ) -> bytes:
        """The bytes of an answer with status 200.

        Raises:
            PlexError: one of its kinds; PlexGarbled where there are more than `most`.
        """
        limits = self.session.limits if most is None else replace(self.session.limits, size=most)
        try:
            answer = self.session.request(
                "GET", self.url + path, params=query, headers=headers, limits=limits
            )
        except HttpFailure as failure:
            raise of_failure(failure) from None
        raise_for_status(answer.status_code)
        return answer.content


class PlexConversation:
    """A few requests to plex.tv or a Plex server, within one time for all of them, tried again where that may help.

    Args:
        base: URL of the other end.
        who: what the other end is called in messages.
        identifier: the name by which Plex knows this installation; always the same.
        seconds: for all requests together.
        device_name: shown to people at plex.tv.
        gate: what every request passes; none is made while it is closed.
        proxied: whether the proxies of the environment are used.
    """

    def __init__(
        self,
        base: str,
        *,
        who: str,
        identifier: str,
        seconds: float,
        device_name: str = PRODUCT,
        gate: Gate | None = None,
        proxied: bool = False,
    ) -> None:
        self.who = who
        self._gate = gate
        self._base = base.rstrip("/")
        self._deadline = time.monotonic() + seconds
        self._session = HttpSession(_limits(seconds), headers(identifier, device_name), proxied=proxied)

    def __enter__(self) -> Self:
        """Use it as a context."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._session.close()

    def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        token: str | None = None,
        etag: str | None = None,
    ) -> Response:
        """Ask; twice where the first answer was a failure that may pass.

        Args:
            path: of what is asked for.
            params: of the query.
            token: of whom the question is.
            etag: of an answer that is known: where it still holds, the status is 304.

        Raises:
            PlexOutage: no answer, a redirect, 429 or 5xx.
        """
        tries = Retrying(
            stop=stop_after_attempt(_TRIES),
            wait=wait_fixed(_PAUSE_SECONDS),
            retry=retry_if_exception(lambda error: isinstance(error, PlexOutage) and error.transient),
            reraise=True,
        )
        return self._gated(lambda: tries(self._once, "GET", path, params, token, etag))

    def post(self, path: str, params: Mapping[str, str] | None = None) -> Response:
        """Ask for something to be made; once.

        Raises:
            PlexOutage: as for `get`.
        """
        return self._gated(lambda: self._once("POST", path, params))

    def read(self, answer: Response, parse: Callable[[bytes], T], usual: tuple[int, ...] = (200,)) -> T:
        """What `parse` makes of the body of an answer.

        Raises:
            PlexUnreachable: its status is not a `usual` one, or `parse` raised PlexGarbled or NotJson.
        """
        if answer.status_code not in usual:
            raise self.unusable(f"HTTP {answer.status_code}")
        try:
            return parse(answer.content)
        except (NotJson, PlexGarbled):
            raise self.unusable("an answer that is not understood") from None

    def unusable(self, what: str) -> PlexUnreachable:
        """The error of an answer that is not what it should be; `what` never quotes it, it may hold a token."""
        log.warning("plex.unreachable", who=self.who, reason=what)
        return PlexUnreachable(unreachable(self.who), what)

    def _gated(self, ask: Callable[[], Response]) -> Response:
        try:
            with nullcontext() if self._gate is None else self._gate.asking():
                return ask()
        except GateClosed as error:
            raise PlexOutage(self.who, str(error)) from None
        except PlexOutage as error:
            log.warning("plex.unreachable", who=self.who, reason=error.reason)
            raise

    def _once(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        token: str | None = None,
        etag: str | None = None,
    ) -> Response:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise PlexOutage(self.who, "no time left")
        try:
            answer = self._session.request(
                method,
                self._base + path,
                params=params,
                headers={
                    **({"X-Plex-Token": token} if token else {}),
                    **({"If-None-Match": etag} if etag else {}),
                },
                limits=_limits(left),
            )
        except HttpFailure as failure:
            raise PlexOutage(self.who, failure.kind, transient=failure.kind != "too_large") from None
        status = answer.status_code
        if status == 304 and etag:
            return answer
        if status >= 500 or status == 429 or 300 <= status < 400:
            wait = seconds_to_wait(answer.headers.get("Retry-After")) if status in {429, 503} else None
            soon = status >= 500 and not wait
            raise PlexOutage(
                self.who, f"HTTP {status}", transient=soon, retry_after=None if wait is None else int(wait)
            )
        return answer


def headers(identifier: str, device_name: str = PRODUCT) -> dict[str, str]:
    """What says in every request who asks.

    Args:
        identifier: the name by which Plex knows this installation.
        device_name: shown to people at plex.tv.
    """
    return {
        "Accept": "application/json",
        "User-Agent": f"{PRODUCT}/{_version()}",
        "X-Plex-Client-Identifier": identifier,
        "X-Plex-Product": PRODUCT,
        "X-Plex-Version": _version(),
        "X-Plex-Platform": platform.system() or "unknown",
        "X-Plex-Device-Name": plain(device_name) or PRODUCT,
    }


def plain(text: str) -> str:
    """A text as a header can carry it: without accents, emoji and the like; may be empty."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(each for each in ascii_only if each.isprintable()).strip()


def _limits(seconds: float) -> Limits:
    return Limits(
        connect=min(_CONNECT_SECONDS, seconds),
        silence=min(_READ_SECONDS, seconds),
        total=seconds,
        size=LARGEST_BODY,
        error_bodies=True,
    )


def _version() -> str:
    try:
        return version("medianest")
    except PackageNotFoundError:  # a platform unpacks the code and installs only what it needs
        return "0"
