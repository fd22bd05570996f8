"""HTTP as plex.tv and Plex servers want it: our name on every request, and bounds on time, size and direction."""

from __future__ import annotations

import platform
import time
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import requests
import structlog
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_fixed
from urllib3.exceptions import HTTPError

from engine.clients.gate import Gate, NotAsked
from engine.clients.typed_addresses import TypedAddressAdapter
from engine.errors import PlexUnreachable

PRODUCT = "MediaNest"
CONNECT_SECONDS = 3.0
READ_SECONDS = 8.0
LARGEST_BODY = 2 * 1024 * 1024
_CHUNK = 64 * 1024
_TRIES = 2
_PAUSE_SECONDS = 0.2

log = structlog.get_logger(__name__)


class PlexOutage(PlexUnreachable):
    """No answer at all, or one that speaks of trouble at the other end: asking for others is of no use now.

    Attributes:
        passing: asking again at once may help.
    """

    def __init__(self, who: str, reason: str, *, passing: bool = False) -> None:
        super().__init__(_message(who), reason)
        self.reason = reason
        self.passing = passing


@dataclass(frozen=True)
class Answer:
    """What came back, within bounds."""

    status: int
    body: bytes


class PlexHttp:
    """One conversation with plex.tv or a Plex server.

    Args:
        base: URL of the other end.
        who: what the other end is called in messages.
        identifier: the name by which Plex knows this installation; always the same.
        seconds: for all calls of the conversation together.
        device_name: shown to people at plex.tv.
        gate: what every question passes; none of them is asked while it is closed.
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
    ) -> None:
        self.who = who
        self._gate = gate
        self._base = base.rstrip("/")
        self._deadline = time.monotonic() + seconds
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, TypedAddressAdapter())
        self._session.auth = _nothing_added  # else requests looks into ~/.netrc
        self._session.headers.update(_headers(identifier, device_name))

    def get(self, path: str, params: Mapping[str, str] | None = None, token: str | None = None) -> Answer:
        """Ask; twice where the first answer was a failure that may pass.

        Raises:
            PlexOutage: no answer, a redirect, 429 or 5xx.
        """
        tries = Retrying(
            stop=stop_after_attempt(_TRIES),
            wait=wait_fixed(_PAUSE_SECONDS),
            retry=retry_if_exception(lambda error: isinstance(error, PlexOutage) and error.passing),
            reraise=True,
        )
        return self._told(lambda: tries(self._once, "GET", path, params, token))

    def post(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """Ask for something to be made; once.

        Raises:
            PlexOutage: as for `get`.
        """
        return self._told(lambda: self._once("POST", path, params, None))

    def unusable(self, what: str) -> PlexUnreachable:
        """The error of an answer that is not what it should be; `what` never quotes it, it may hold a token."""
        log.warning("plex.unreachable", who=self.who, reason=what)
        return PlexUnreachable(_message(self.who), what)

    def close(self) -> None:
        """End the conversation."""
        self._session.close()

    def _told(self, ask: Callable[[], Answer]) -> Answer:
        try:
            with nullcontext() if self._gate is None else self._gate.asking():
                return ask()
        except NotAsked as error:
            raise PlexOutage(self.who, str(error)) from None
        except PlexOutage as error:
            log.warning("plex.unreachable", who=self.who, reason=error.reason)
            raise

    def _once(self, method: str, path: str, params: Mapping[str, str] | None, token: str | None) -> Answer:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise PlexOutage(self.who, "no time left")
        try:
            with self._session.request(
                method,
                self._base + path,
                params=params,
                headers={"X-Plex-Token": token} if token else None,
                timeout=(min(CONNECT_SECONDS, left), min(READ_SECONDS, left)),
                allow_redirects=False,
                stream=True,
            ) as response:
                answer = Answer(response.status_code, self._body(response))
        except (requests.RequestException, HTTPError, OSError) as error:
            raise PlexOutage(self.who, type(error).__name__, passing=True) from None
        if answer.status >= 500 or answer.status == 429 or 300 <= answer.status < 400:
            raise PlexOutage(self.who, f"HTTP {answer.status}", passing=answer.status >= 500)
        return answer

    def _body(self, response: requests.Response) -> bytes:
        """The body, read as it comes, so that neither a flood nor a trickle keeps us."""
        parts, size = [], 0
        while block := response.raw.read1(_CHUNK, decode_content=False):
            size += len(block)
            parts.append(block)
            if size > LARGEST_BODY:
                raise PlexOutage(self.who, "answer too large")
            if time.monotonic() > self._deadline:
                raise PlexOutage(self.who, "answer too slow")
        return b"".join(parts)


def plain(text: str) -> str:
    """A text as a header can carry it: without accents, emoji and the like; may be empty."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(each for each in ascii_only if each.isprintable()).strip()


def _headers(identifier: str, device_name: str) -> dict[str, str]:
    return {
        "Accept": "application/json",
        "Accept-Encoding": "identity",  # nothing to unpack, so no bomb
        "User-Agent": f"{PRODUCT}/{_version()}",
        "X-Plex-Client-Identifier": identifier,
        "X-Plex-Product": PRODUCT,
        "X-Plex-Version": _version(),
        "X-Plex-Platform": platform.system() or "unknown",
        "X-Plex-Device-Name": plain(device_name) or PRODUCT,
    }


def _version() -> str:
    try:
        return version("medianest")
    except PackageNotFoundError:  # a platform unpacks the code and installs only what it needs
        return "0"


def _nothing_added(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _message(who: str) -> str:
    return f"{who} can't be reached at the moment: try again in a minute. Passwords work meanwhile."
