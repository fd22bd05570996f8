"""Asks another system one harmless question within bounds, and says in a word and a sentence what failed."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from engine.clients.foreign_json import NotJson, decoded
from engine.clients.http import FailureKind, HttpFailure, HttpSession, Limits

SECONDS = 8.0  # of one question, however slowly the answer comes
CONNECT_SECONDS = 4.0
LARGEST_BODY = 1 << 20

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


class ConnectionTestFailed(Exception):
    """The other system can't be used as it is configured.

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
class Reply:
    """What came back; `body` is empty unless the status is 2xx, and where it is longer than any answer may be."""

    status: int
    body: bytes

    @property
    def fields(self) -> Mapping[str, Any] | None:
        """The JSON object in it; None where the status is not 200, or there is none."""
        try:
            found = decoded(self.body) if self.status == 200 else None
        except NotJson:
            return None
        return found if isinstance(found, Mapping) else None


def get(
    url: str,
    *,
    headers: Mapping[str, str],
    params: Mapping[str, str] | None = None,
    verify: bool = True,
    proxied: bool = False,
) -> Reply:
    """Ask once; a redirect is an answer and not followed.

    Args:
        url: of the question.
        headers: with what proves us.
        params: of the query.
        verify: whether certificates are checked.
        proxied: over the proxy of the environment, if there is one: for what lies in the internet.

    Raises:
        ConnectionTestFailed: there is no answer.
    """
    limits = Limits(connect=CONNECT_SECONDS, silence=SECONDS, total=SECONDS, size=LARGEST_BODY)
    with HttpSession(limits, headers, verify=verify, proxied=proxied) as session:
        try:
            answer = session.request("GET", url, params=params)
        except HttpFailure as failure:
            if failure.kind in {"too_large", "garbled"}:
                return Reply(200, b"")
            raise _failed(failure.kind) from None
    return Reply(answer.status_code, answer.content)


def run_in_parallel(
    questions: Sequence[Callable[[], T]], seconds: float = SECONDS
) -> list[T | ConnectionTestFailed]:
    """The answers to several questions that are asked side by side, in order; one that comes too late has failed."""
    answers: queue.SimpleQueue[tuple[int, T | ConnectionTestFailed | Exception]] = queue.SimpleQueue()

    def put(number: int, question: Callable[[], T]) -> None:
        try:
            answers.put((number, question()))
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            answers.put((number, error))

    for number, question in enumerate(questions):
        threading.Thread(target=put, args=(number, question), name="probe", daemon=True).start()
    found: list[T | ConnectionTestFailed] = [_failed("timeout") for _ in questions]
    ends = time.monotonic() + seconds
    for _ in questions:
        try:
            number, answer = answers.get(timeout=max(0.0, ends - time.monotonic()))
        except queue.Empty:
            break
        if isinstance(answer, Exception) and not isinstance(answer, ConnectionTestFailed):
            raise answer
        found[number] = answer
    return found


def run_with_deadline(question: Callable[[], T], seconds: float = 2 * SECONDS) -> T:
    """The answer to one question, within `seconds` however the other end behaves.

    Raises:
        ConnectionTestFailed: there is none.
    """
    (answer,) = run_in_parallel([question], seconds)
    if isinstance(answer, ConnectionTestFailed):
        raise answer
    return answer


def _failed(kind: FailureKind) -> ConnectionTestFailed:
    return ConnectionTestFailed(*_FAILURES.get(kind, _CLOSED))


_CLOSED: tuple[Reason, str, str] = (
    "refused",
    "It closes the connection without an answer.",
    "Look at the port, and whether the address begins with https:// instead of http://.",
)
_FAILURES: Mapping[FailureKind, tuple[Reason, str, str]] = {
    "tls": (
        "tls",
        "Something answers, but there is no safe connection: the certificate is not valid for this address, or it does "
        "not speak https.",
        "Give the address that the certificate is for, or http:// where it speaks no https. For a certificate of your "
        "own making, `verifyTls: false` switches the check off.",
    ),
    "timeout": (
        "timeout",
        "There is no answer in time.",
        "Look whether the address is right and can be reached from this host, and at a firewall in between.",
    ),
    "unknown_host": (
        "unknown_host",
        "There is no host of this name, as seen from here.",
        "Look at the spelling, or give the IP address; inside Docker, names of other containers need a network in "
        "common.",
    ),
    "never_asked": (
        "never_asked",
        "This host leads to a link-local or reserved address, such as those of a cloud's metadata: these are never "
        "asked.",
        "Give the address that the server has in your network, or its public one.",
    ),
    "refused": (
        "refused",
        "Nobody listens at this address.",
        "Look whether it runs, at the port, and at a firewall; inside Docker, localhost is the container itself.",
    ),
}
