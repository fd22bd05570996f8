"""Messages through Apprise to what users set up for themselves: services by HTTP only, in a guarded process.

An address of Apprise is a user's URL: it may name any host, and some of its services run programs, read files or open
sockets of their own. So only those are taken that speak HTTP, their parameters that name files are refused, and a
message is sent in a process of its own behind the egress guard.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from engine.clients import egress_guard

LONGEST = 2000  # characters of an address
MEMORY = 512 << 20  # bytes of a process that sends

# Their host is the address of a server, which may be shown; of all others it is half of a secret.
_HOSTED = frozenset(
    {
        "apprise", "apprises", "bark", "barks", "form", "forms", "gotify", "gotifys", "hassio", "hassios", "json",
        "jsons", "matrix", "matrixs", "mmost", "mmosts", "ncloud", "nclouds", "ntfys", "rocket", "rockets", "signal",
        "signals", "synology", "synologys", "xml", "xmls", "toot", "toots", "mastodon", "mastodons", "zulip",
    }
)  # fmt: skip
SCHEMES = _HOSTED | frozenset(
    {
        "discord", "gchat", "guilded", "ifttt", "join", "line", "ntfy", "pbul", "pover", "prowl", "psafer", "psafers",
        "pushy", "push", "revolt", "slack", "spush", "tgram", "wxteams",
    }
)  # fmt: skip
# Parameters that have Apprise read a file or another address.
_READING = frozenset({"template", "tokens", "subfile", "keyfile", "config", "attach", "include", "path"})

_STATUS = re.compile(r"error[= ](\d{3})")


class TargetFailed(Exception):
    """A message was not delivered.

    Attributes:
        kind: machine-readable.
        message, advice: for who set it up; nothing of the address is in them.
        passing: it may work later.
    """

    def __init__(self, kind: str, message: str, advice: str, *, passing: bool) -> None:
        super().__init__(kind, message, advice, passing)
        self.kind, self.message, self.advice, self.passing = kind, message, advice, passing

    def __reduce__(self) -> tuple[Callable[..., TargetFailed], tuple[Any, ...]]:
        """It travels out of the process that sends."""
        return _failed, (self.kind, self.message, self.advice, self.passing)


def _failed(kind: str, message: str, advice: str, passing: bool) -> TargetFailed:
    return TargetFailed(kind, message, advice, passing=passing)


@dataclass(frozen=True)
class Message:
    """What is sent, and where to."""

    url: str = field(repr=False)
    title: str
    body: str
    allow_private: bool
    timeout: float = 15.0


def shown(url: str) -> str:
    """An address without its secrets: its scheme and host, or the scheme alone where the host is one.

    Raises:
        ValueError: it is not accepted; says why.
    """
    if len(url) > LONGEST or any(ord(letter) < 33 for letter in url):
        raise ValueError("Must be an address of Apprise, without spaces.")
    scheme, separator, _ = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in SCHEMES:
        raise ValueError(f"Must begin with one of: {', '.join(f'{name}://' for name in sorted(SCHEMES))}.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("Must be an address of Apprise.") from None
    if not host:
        raise ValueError("Must name a host, or what the service needs in its place.")
    names = {name.lower().lstrip("+-:") for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if reading := sorted(names & _READING):
        raise ValueError(f"Must not have the parameter {reading[0]}.")
    if scheme not in _HOSTED:
        return f"{scheme}://…"
    return f"{scheme}://{host}" + (f":{port}" if port else "")


def send(message: Message, emit: Callable[[Any], None]) -> None:
    """Send a message; call it in a process of its own, as the egress guard can't be removed again.

    Raises:
        TargetFailed: it was not delivered.
    """
    egress_guard.install(allow_private=message.allow_private)
    # 30 MB that only a process needs that sends.
    from apprise import Apprise, AppriseAsset, PersistentStoreMode  # noqa: PLC0415

    heard = _Heard()
    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [heard], False
    logger.setLevel(logging.WARNING)
    asset = AppriseAsset(
        app_id="MediaNest",
        app_desc="MediaNest",
        async_mode=False,
        plugin_paths=[],
        secure_logging=True,
        storage_mode=PersistentStoreMode.MEMORY,
    )
    target = Apprise(asset=asset)
    if not target.add(message.url):
        raise TargetFailed(
            "not_accepted",
            "Apprise does not understand this address.",
            "Compare it with the documentation of Apprise for this service.",
            passing=False,
        )
    if target.notify(title=message.title, body=message.body):
        return
    if egress_guard.refused():
        raise TargetFailed(
            "blocked_address",
            "This address lies in a network where messages are not sent to.",
            "An admin may allow private networks (NOTIFY_ALLOW_PRIVATE_NETWORKS).",
            passing=False,
        )
    raise _answered(heard.status)


class _Heard(logging.Handler):
    """Takes the HTTP status out of what Apprise logs, and nothing else: the rest may hold secrets."""

    status: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Look for a status."""
        found = _STATUS.search(record.getMessage())
        if found is not None:
            self.status = int(found[1])


def _answered(status: int | None) -> TargetFailed:
    if status is None:
        return TargetFailed(
            "unreachable", "The service can't be reached.", "It is tried again by itself.", passing=True
        )
    if status in {401, 403, 404, 410}:
        return TargetFailed(
            "refused",
            f"The service does not take messages by this address (status {status}).",
            "Set it up anew: the address, a token in it, or what it points to is not valid any more.",
            passing=False,
        )
    passing = status == 429 or status >= 500
    return TargetFailed(
        "failed",
        f"The service did not take the message (status {status}).",
        "It is tried again by itself." if passing else "Compare the address with Apprise's documentation.",
        passing=passing,
    )
