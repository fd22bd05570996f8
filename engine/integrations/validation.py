"""Validation of an integration's values, and comparison of addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from engine.clients.typed_addresses import names_one_never_asked
from engine.errors import ValidationFailed
from engine.integrations.kind import Given, Kind

MOST_URL, MOST_TOKEN, MOST_PATHS = 500, 2000, 50


def accepted(url: str | None, token: str | None) -> Given:
    """Validated URL and token.

    Raises:
        ValidationFailed: one of them is not.
    """
    found = (url or "").strip().rstrip("/")
    if _is_address(found) and names_one_never_asked(found):
        words = "Link-local and reserved addresses, such as those of a cloud's metadata, are never asked."
        raise ValidationFailed("The address is not accepted.", url=words)
    if url is not None and not _is_address(found):
        words = "Takes an address such as http://192.168.1.20:32400, without a user, a query or a fragment."
        raise ValidationFailed("The address is not accepted.", url=words)
    key = (token or "").strip()
    if token is not None and not (0 < len(key) <= MOST_TOKEN and key.isascii() and _is_word(key)):
        raise ValidationFailed(
            "The token is not accepted.",
            token="Takes printable characters without spaces.",  # noqa: S106 - a message
        )
    return Given(found, key)


def accepted_options(kind: Kind, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The validated options beside URL and token.

    Raises:
        ValidationFailed: there is no such thing, or it is not accepted.
    """
    options = {name: value for name, value in changes.items() if name not in {"url", "token"}}
    for name in options:
        if name not in kind.options:
            raise ValidationFailed(f"{kind.title} takes no {name}.", **{name: "Unknown field."})
    for number, pair in enumerate(options.get("paths") or ()):
        if not all(_is_folder(pair[side]) for side in ("ours", "plex")):
            raise ValidationFailed(
                "A folder is not accepted.",
                paths=f"Number {number}: takes absolute paths, such as /media/films.",
            )
    return options


def same_place(one: str, other: str) -> bool:
    """Whether two URLs have the same host and port."""
    try:
        left, right = urlsplit(one), urlsplit(other)
        return (left.scheme, left.hostname, left.port) == (right.scheme, right.hostname, right.port)
    except ValueError:
        return False


def _is_address(text: str) -> bool:
    if not text.isascii() or not _is_word(text) or len(text) > MOST_URL or "\\" in text:
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or "?" in text or "#" in text or "@" in parts.netloc)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0 and plain


def _is_word(text: str) -> bool:
    return text.isprintable() and " " not in text


def _is_folder(text: str) -> bool:
    """Whether it is an absolute path, of POSIX or of Windows: Plex may run there."""
    return text.startswith(("/", "\\\\")) or (text[1:3] in {":\\", ":/"} and text[:1].isalpha())
