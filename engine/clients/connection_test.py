"""Asks another system one harmless question within bounds, and says in a word and a sentence what failed."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import requests
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError

from engine.clients.typed_addresses import NeverAsked, TypedAddressAdapter

SECONDS = 8.0  # of one question, however slowly the answer comes
CONNECT_SECONDS = 4.0
LARGEST_BODY = 1 << 20
_CHUNK = 1 << 16

Reason = Literal[
    "unknown_host",
    "never_asked",
    "refused",
    "timeout",
    "tls",
    "unauthorized",
    "other_server",
    "too_old",
    "not_ready",
    "not_plex",
    "not_recognised",
    "unclaimed",
]

T = TypeVar("T")


class Failed(Exception):
    """It does not work.

    Attributes:
        reason: a word for programs.
        message: what was seen; never holds a token, an address or what the other end has sent.
        advice: what to do.
    """

    def __init__(self, reason: Reason, message: str, advice: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.advice = advice


@dataclass(frozen=True)
class Answer:
    """What came back, within bounds."""

    status: int
    type: str
    body: bytes


def get(
    url: str,
    *,
    headers: Mapping[str, str],
    params: Mapping[str, str] | None = None,
    verify: bool = True,
    proxied: bool = False,
) -> Answer:
    """Ask once; a redirect is an answer and not followed.

    Args:
        url: of the question.
        headers: with what proves us.
        params: of the query.
        verify: whether certificates are checked.
        proxied: over the proxy of the environment, if there is one: for what lies in the internet.

    Raises:
        Failed: there is no answer.
    """
    ends = time.monotonic() + SECONDS
    with requests.Session() as session:
        session.trust_env = proxied
        session.auth = _nothing_added  # else requests looks into ~/.netrc
        session.mount("http://", TypedAddressAdapter())
        session.mount("https://", TypedAddressAdapter())
        try:
            with session.get(
                url,
                params=params,
                headers={"User-Agent": "MediaNest", **headers},
                timeout=(CONNECT_SECONDS, SECONDS),
                verify=verify,
                allow_redirects=False,
                stream=True,
            ) as answer:
                kind = answer.headers.get("Content-Type", "")
                return Answer(answer.status_code, kind, _body(answer, ends))
        except (requests.RequestException, HTTPError, OSError, UnicodeError) as error:
            raise _failure(error) from None


def together(questions: Sequence[Callable[[], T]], seconds: float = SECONDS) -> list[T | Failed]:
    """The answers to several questions that are asked side by side, in order; one that comes too late has failed."""
    answers: queue.SimpleQueue[tuple[int, T | Failed | Exception]] = queue.SimpleQueue()

    def put(number: int, question: Callable[[], T]) -> None:
        try:
            answers.put((number, question()))
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            answers.put((number, error))

    for number, question in enumerate(questions):
        threading.Thread(target=put, args=(number, question), name="probe", daemon=True).start()
    found: list[T | Failed] = [_too_late() for _ in questions]
    ends = time.monotonic() + seconds
    for _ in questions:
        try:
            number, answer = answers.get(timeout=max(0.0, ends - time.monotonic()))
        except queue.Empty:
            break
        if isinstance(answer, Exception) and not isinstance(answer, Failed):
            raise answer
        found[number] = answer
    return found


def alone(question: Callable[[], T], seconds: float = 2 * SECONDS) -> T:
    """The answer to one question, within `seconds` however the other end behaves.

    Raises:
        Failed: there is none.
    """
    (answer,) = together([question], seconds)
    if isinstance(answer, Failed):
        raise answer
    return answer


def _body(answer: requests.Response, ends: float) -> bytes:
    parts, size = [], 0
    for part in answer.iter_content(_CHUNK):
        size += len(part)
        parts.append(part)
        if size > LARGEST_BODY:
            break  # no answer to our questions is that long: what is cut short will not be understood
        if time.monotonic() > ends:
            raise _too_late()
    return b"".join(parts)


def _failure(error: Exception) -> Failed:
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, requests.exceptions.SSLError):
        return Failed(
            "tls",
            "Something answers, but there is no safe connection: the certificate is not valid for this address, or "
            "it does not speak https.",
            "Give the address that the certificate is for, or http:// where it speaks no https. For a certificate of "
            "your own making, `verifyTls: false` switches the check off.",
        )
    if isinstance(error, requests.exceptions.Timeout):
        return _too_late()
    if isinstance(reason, NameResolutionError) or isinstance(
        error, UnicodeError | requests.exceptions.InvalidURL
    ):
        return Failed(
            "unknown_host",
            "There is no host of this name, as seen from here.",
            "Look at the spelling, or give the IP address; inside Docker, names of other containers need a network in "
            "common.",
        )
    if isinstance(reason, NeverAsked):
        return Failed(
            "never_asked",
            "This host leads to a link-local or reserved address, such as those of a cloud's metadata: these are never "
            "asked.",
            "Give the address that the server has in your network, or its public one.",
        )
    if isinstance(reason, NewConnectionError):
        return Failed(
            "refused",
            "Nobody listens at this address.",
            "Look whether it runs, at the port, and at a firewall; inside Docker, localhost is the container itself.",
        )
    return Failed(
        "refused",
        "It closes the connection without an answer.",
        "Look at the port, and whether the address begins with https:// instead of http://.",
    )


def _too_late() -> Failed:
    return Failed(
        "timeout",
        "There is no answer in time.",
        "Look whether the address is right and can be reached from this host, and at a firewall in between.",
    )


def _nothing_added(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
