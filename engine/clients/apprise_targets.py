"""Messages through Apprise to what users set up for themselves: services by HTTP only, in a guarded process.

An address of Apprise makes our server connect to where its author wishes, and some services run programs, read files or
open sockets of their own. So a service is offered by name, only its own module of Apprise is imported, parameters that
name files or prolong the work are refused, and a message is sent in a process of its own behind the egress guard.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from engine.clients import egress_guard

LONGEST = 2000  # characters of an address
MEMORY = 512 << 20  # bytes of a process that sends
_SECONDS = 30.0  # for all connections of one message

# Servers of one's own, by scheme the module of Apprise and its class; `<scheme>s` means TLS. Their host may be shown.
_SERVERS = {
    "bark": ("bark", "NotifyBark"),
    "form": ("custom_form", "NotifyForm"),
    "gotify": ("gotify", "NotifyGotify"),
    "hassio": ("home_assistant", "NotifyHomeAssistant"),
    "json": ("custom_json", "NotifyJSON"),
    "matrix": ("matrix.base", "NotifyMatrix"),
    "mmost": ("mattermost", "NotifyMattermost"),
    "ncloud": ("nextcloud", "NotifyNextcloud"),
    "nctalk": ("nextcloudtalk", "NotifyNextcloudTalk"),
    "ntfy": ("ntfy", "NotifyNtfy"),
    "rocket": ("rocketchat", "NotifyRocketChat"),
    "signal": ("signal_api", "NotifySignalAPI"),
    "synology": ("synology", "NotifySynology"),
    "toot": ("mastodon", "NotifyMastodon"),
    "xml": ("custom_xml", "NotifyXML"),
}
# Services with a host of their own: what stands in its place is a part of a secret.
_HOSTED = {
    "discord": ("discord", "NotifyDiscord"),
    "gchat": ("google_chat", "NotifyGoogleChat"),
    "guilded": ("guilded", "NotifyGuilded"),
    "ifttt": ("ifttt", "NotifyIFTTT"),
    "join": ("join", "NotifyJoin"),
    "line": ("line", "NotifyLine"),
    "pbul": ("pushbullet", "NotifyPushBullet"),
    "pover": ("pushover", "NotifyPushover"),
    "prowl": ("prowl", "NotifyProwl"),
    "psafer": ("pushsafer", "NotifyPushSafer"),
    "pushy": ("pushy", "NotifyPushy"),
    "revolt": ("revolt", "NotifyRevolt"),
    "slack": ("slack", "NotifySlack"),
    "spush": ("simplepush", "NotifySimplePush"),
    "tgram": ("telegram", "NotifyTelegram"),
    "zulip": ("zulip", "NotifyZulip"),
}
_SERVICES = {**_SERVERS, **{f"{scheme}s": found for scheme, found in _SERVERS.items()}, **_HOSTED}
SCHEMES = tuple(sorted(_SERVICES))

# Parameters that have Apprise read or write a file, ask another address, or take longer.
_REFUSED_PARAMETER = re.compile(
    r"attach.*|config|cto|file|include|key-?file|path|pem.*|pgp.*|retry|rto|store|subfile|template.*|tokens|wait"
)
_STATUS = re.compile(r"error[= ](\d{3})")
_TRIED_AGAIN = "It is tried again by itself."


class TargetFailed(Exception):
    """A message was not delivered.

    Attributes:
        kind: machine-readable.
        message, advice: for who set it up; nothing of the address is in them.
        passing: it may work later.
    """

    def __init__(self, kind: str, message: str, advice: str, passing: bool) -> None:
        super().__init__(kind, message, advice, passing)
        self.kind, self.message, self.advice, self.passing = kind, message, advice, passing


@dataclass(frozen=True)
class Message:
    """What is sent, and where to."""

    url: str = field(repr=False)
    title: str
    body: str
    allow_private: bool


def shown(url: str) -> str:
    """An address without its secrets: its scheme and host, or the scheme alone where the host is a part of them.

    Raises:
        ValueError: it is not accepted; says why, and repeats nothing of it.
    """
    scheme, plugin = _scheme(url), _plugin(url)
    # The topic of ntfy's own server stands where the host would.
    if scheme in _HOSTED or getattr(plugin, "mode", "") == "cloud":
        return f"{scheme}://…"
    return f"{scheme}://{plugin.host}" + (f":{plugin.port}" if plugin.port else "")


def send(message: Message, emit: Callable[[Any], None]) -> None:
    """Send a message; call it in a process of its own, as the egress guard can't be removed again.

    Raises:
        TargetFailed: it was not delivered.
    """
    egress_guard.install(allow_private=message.allow_private)
    logs = _Statuses()
    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [logs], False
    logger.setLevel(logging.WARNING)
    try:
        taken = bool(_plugin(message.url).notify(title=message.title, body=message.body))
    except ValueError as error:
        raise TargetFailed("not_accepted", str(error), "Enter the address again.", False) from None
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises; its text may repeat the address
        what = f"The message could not be made ({type(error).__name__})."
        raise TargetFailed("failed", what, _TRIED_AGAIN, True) from None
    if taken:
        return
    if egress_guard.refused():
        raise TargetFailed(
            "blocked_address",
            "This address lies in a network where messages are not sent to.",
            "An admin may allow private networks (NOTIFY_ALLOW_PRIVATE_NETWORKS).",
            False,
        )
    raise _answered(logs.last)


class _Statuses(logging.Handler):
    """Takes the HTTP status out of what Apprise logs, and nothing else: the rest may hold secrets."""

    last: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Look for a status."""
        found = _STATUS.search(record.getMessage())
        if found is not None:
            self.last = int(found[1])


def _answered(status: int | None) -> TargetFailed:
    if status is None:
        return TargetFailed("unreachable", "The service can't be reached.", _TRIED_AGAIN, True)
    if status in {401, 403, 404, 410}:
        return TargetFailed(
            "refused",
            f"The service does not take messages by this address (status {status}).",
            "Set it up anew: the address, a token in it, or what it points to is not valid any more.",
            False,
        )
    passing = status == 429 or status >= 500
    advice = _TRIED_AGAIN if passing else "Compare the address with Apprise's documentation."
    return TargetFailed("failed", f"The service did not take the message (status {status}).", advice, passing)


def _scheme(url: str) -> str:
    """The scheme of an address that may be given to its plugin.

    Raises:
        ValueError: it is not accepted; says why.
    """
    if len(url) > LONGEST or not url.isprintable() or any(letter.isspace() for letter in url):
        raise ValueError(f"Must be an address of Apprise without spaces, of {LONGEST} characters at most.")
    scheme = url.partition("://")[0].lower()
    if scheme not in _SERVICES:
        raise ValueError(f"Must begin with one of: {', '.join(f'{name}://' for name in SCHEMES)}.")
    for name, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True):
        if _REFUSED_PARAMETER.fullmatch(name.strip().lower()):
            raise ValueError(
                "Must not have parameters that name files, or how often and how long it is tried."
            )
    return scheme


def _plugin(url: str) -> Any:
    """The plugin that sends to an address.

    Raises:
        ValueError: it does not understand the address.
    """
    # A third of a second, for which only who sets a channel up or sends to it waits.
    from apprise import AppriseAsset, PersistentStoreMode  # noqa: PLC0415

    module, name = _SERVICES[_scheme(url)]
    plugin = getattr(importlib.import_module(f"apprise.plugins.{module}"), name)
    asset = AppriseAsset(
        app_id="MediaNest",
        app_desc="MediaNest",
        async_mode=False,
        secure_logging=True,
        service_timeout=_SECONDS,
        storage_mode=PersistentStoreMode.MEMORY,
    )
    try:
        return plugin(**{**plugin.parse_url(url), "asset": asset})
    except Exception:  # noqa: BLE001 - whatever a plugin says of an address may repeat it
        raise ValueError(
            "Its service does not understand this address: a part of it is missing or wrong. "
            "Compare it with Apprise's documentation."
        ) from None
