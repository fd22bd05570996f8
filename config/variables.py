"""How the text of a variable becomes a value; each parser raises ValueError that says what it takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from email.utils import formataddr, parseaddr
from ipaddress import ip_network
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit


class Rate(NamedTuple):
    """So many requests in any window of so many seconds."""

    amount: int
    seconds: int

    def __str__(self) -> str:
        units = ((86400, "day"), (3600, "h"), (60, "min"), (1, "s"))
        size, unit = next(found for found in units if self.seconds % found[0] == 0)
        number = self.seconds // size
        return f"{self.amount}/{number if number > 1 else ''}{unit}"

    def times(self, factor: int) -> Rate:
        """The same window with more requests in it."""
        return Rate(self.amount * factor, self.seconds)


_RATE = re.compile(r"([0-9]{1,9})/([0-9]{0,5})(s|min|h|day)")
_UNITS = {"s": 1, "min": 60, "h": 3600, "day": 86400}


def rates(text: str) -> tuple[Rate, ...]:
    """Limits such as `10/min,100/h` or `5/15min`; `off` for none."""
    if text.lower() == "off":
        return ()
    found = [_RATE.fullmatch(word) for word in words(text)]
    parsed = tuple(
        Rate(int(match[1]), int(match[2] or 1) * _UNITS[match[3]]) for match in found if match is not None
    )
    if not parsed or len(parsed) != len(found) or any(not all(rate) for rate in parsed):
        raise ValueError("limits such as 10/min,100/h or 5/15min (s, min, h, day), or off")
    return parsed


def text_of(value: object) -> str:
    """The text that a parser of this room reads as `value`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}" if abs(value) < 1e6 else str(int(value))
    if isinstance(value, tuple) and not isinstance(value, Rate):
        return ",".join(map(str, value))
    return str(value)


def boolean(text: str) -> bool:
    """True or false, in the usual words."""
    known = {
        "true": True,
        "1": True,
        "yes": True,
        "on": True,
        "false": False,
        "0": False,
        "no": False,
        "off": False,
    }
    if text.lower() not in known:
        raise ValueError("true or false")
    return known[text.lower()]


def integer(low: int, high: int) -> Callable[[str], int]:
    """A whole number within bounds."""
    accepted = f"a whole number from {low} to {high}"

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ValueError(accepted) from None
        if not low <= number <= high:
            raise ValueError(accepted)
        return number

    return parse


def seconds(low: float, high: float) -> Callable[[str], float]:
    """A duration within bounds."""
    accepted = f"seconds from {low:g} to {high:g}"

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            raise ValueError(accepted) from None
        if not low <= number <= high:
            raise ValueError(accepted)
        return number

    return parse


def choice(*accepted: str) -> Callable[[str], str]:
    """One of some words, in any case."""

    def parse(text: str) -> str:
        if text.lower() not in accepted:
            raise ValueError(f"one of {', '.join(accepted)}")
        return text.lower()

    return parse


def words(text: str) -> tuple[str, ...]:
    """Words separated by commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def hosts(text: str) -> tuple[str, ...]:
    """Host names; a port is ignored, an IPv6 address stands in brackets or bare."""
    hosts = []
    for word in words(text):
        host = (urlsplit(f"//{word}").hostname if word.count(":") < 2 or "[" in word else word.lower()) or ""
        if word != "*" and ("/" in word or "*" in word or not host):
            raise ValueError("host names separated by commas, or * for any public host")
        hosts.append(host.rstrip("."))
    return tuple(hosts)


def path(text: str) -> Path:
    """A path, made absolute."""
    return Path(text).expanduser().absolute()


def url(*schemes: str) -> Callable[[str], str]:
    """A URL of one of the schemes."""

    def parse(text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme not in schemes or not (parts.netloc or parts.path):
            raise ValueError(f"a URL that starts with {' or '.join(s + '://' for s in schemes)}")
        return text

    return parse


def targets(text: str) -> tuple[str, ...]:
    """URLs of Apprise, separated by commas."""
    found = words(text)
    if not all(re.match(r"[a-z][a-z0-9]*://.", each) for each in found):
        raise ValueError("URLs of Apprise such as ntfys://ntfy.example.org/topic, separated by commas")
    return found


def database_url(text: str) -> str:
    """A URL of PostgreSQL, in the spelling of our driver."""
    found = url("postgresql", "postgres", "postgresql+psycopg")(text)
    try:
        urlsplit(found).port  # noqa: B018 - raises where it is none
    except ValueError:
        raise ValueError("a URL whose port is a number") from None
    if re.search(r"%(?![0-9A-Fa-f]{2})", found):
        raise ValueError("a URL in which each % is followed by two hexadecimal digits (% itself is %25)")
    return "postgresql+psycopg://" + found.split("://", 1)[1]


def origins(text: str) -> tuple[str, ...]:
    """Origins of browsers, separated by commas."""
    origins = tuple(word.rstrip("/") for word in words(text))
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path:
            raise ValueError("origins such as https://media.example.com, separated by commas")
    return origins


def networks(text: str) -> tuple[str, ...]:
    """Addresses and networks, separated by commas."""
    try:
        return tuple(str(ip_network(word, strict=False)) for word in words(text))
    except ValueError:
        raise ValueError("addresses or networks such as 10.0.0.0/8, separated by commas") from None


def mailbox(text: str) -> str:
    """An address with or without a name, such as `MediaNest <media@example.com>`."""
    name, address = parseaddr(text)
    written = {address, f"<{address}>", f"{name} <{address}>", formataddr((name, address))}
    if text not in written or not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", address):
        raise ValueError("an address such as MediaNest <media@example.com>")
    return text


def keys(text: str) -> tuple[str, ...]:
    """Secrets separated by commas."""
    return tuple(secret(word) for word in words(text))


def secret(text: str) -> str:
    """A secret that is long enough to be one."""
    if len(text) < 32:
        raise ValueError("at least 32 characters")
    return text
