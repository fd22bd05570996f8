"""Blanks secrets in texts that people read: passwords in URLs, tokens in queries and headers, values of a query."""

from __future__ import annotations

import re
from typing import Any

BLANK = "[redacted]"

_SECRET_NAME = re.compile(
    r"(password|passwd|token|secret|authorization|cookie|ticket|api_?-?key|dsn)", re.IGNORECASE
)
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/@\s'\"]+(?=@)")
_NAMES = r"(?:[\w-]*(?:token|ticket|password|passwd|secret|api[_-]?key|apikey|signature))"
_PATTERNS = (
    # A value that is named, in a query, a header, JSON or the repr of a dict.
    (re.compile(rf"(?i)(?<![\w-])({_NAMES}=)[^&\s'\",;)\]}}]+"), rf"\1{BLANK}"),
    (re.compile(rf"(?i)(['\"]{_NAMES}['\"]\s*[:,]\s*b?)('[^']*'|\"[^\"]*\")"), rf"\1'{BLANK}'"),
    (re.compile(r"(?i)\b((?:proxy-)?authorization|x-api-key|x-plex-token|x-csrf-token|(?:set-)?cookie)"
                r"(['\"]?+\s*+[:,=]\s*+(?:b?['\"])?+)(?!\[redacted\])[^\r\n'\"]+"), rf"\1\2{BLANK}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {BLANK}"),
    # A signed token and an API key by their looks.
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), BLANK),
    (re.compile(r"\bmn_[\w-]{20,}"), BLANK),
    # The address of Plex's webhooks, whose last part is a secret.
    (re.compile(r"(?i)(?<!/admin)(/webhooks/[^/\s'\"]*/+)[^\s?#'\"]+"), rf"\1{BLANK}"),
    # What SQLAlchemy and PostgreSQL say of the values of a query that failed.
    (re.compile(r"\[parameters: .*"), f"[parameters: {BLANK}]"),
    (re.compile(r"(?m)^(DETAIL:\s+(?:Failing row contains|Key)) .*"), rf"\1 {BLANK}"),
    # What gunicorn could not read as a request; it may be the rest of a body.
    (re.compile(r"(?s)^(Invalid request from ip=\S*: [\w ]+:) .*"), rf"\1 {BLANK}"),
    (re.compile(r"(?m)^(CONTEXT:\s+unnamed portal parameter \$\d+) = .*"), rf"\1 = {BLANK}"),
)  # fmt: skip
_WORTH_A_LOOK = re.compile(
    r"(?i)://|token|ticket|passw|secret|key|cookie|authorization|bearer|basic|signature|eyJ|mn_|parameter|DETAIL|Invalid|/webhooks/"
)


def is_secret_name(name: str) -> bool:
    """Whether what has this name is not to be shown."""
    return _SECRET_NAME.search(name) is not None


def without_credentials(text: str) -> str:
    """A text whose URLs have lost user and password."""
    return _URL_CREDENTIALS.sub(BLANK, text) if "://" in text else text


def redacted(value: Any) -> Any:
    """A value of a log line without the secrets that can be told from their surroundings."""
    if isinstance(value, str):
        if not _WORTH_A_LOOK.search(value):
            return value
        value = without_credentials(value)
        for pattern, replacement in _PATTERNS:
            value = pattern.sub(replacement, value)
        return value
    if isinstance(value, dict):
        return {
            key: BLANK if isinstance(key, str) and is_secret_name(key) and each else redacted(each)
            for key, each in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(each) for each in value]
    return redacted(repr(value)) if isinstance(value, BaseException | bytes) else value
