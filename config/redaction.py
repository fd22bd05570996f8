"""Blanks secrets in texts that people read: passwords in URLs, tokens in queries and headers, values of a query.

A text may be a stranger's, so it is cut before any pattern reads it, and each pattern takes time in proportion to its
text: it begins only where a word begins, and never reads twice what it has read (`++`, `*+`, `(?>...)`).
"""

from __future__ import annotations

import re
from typing import Any

BLANK = "[redacted]"
LONGEST = 16 * 1024  # characters of a text; what is longer is cut
LAST = 4 * 1024  # characters of the end of an exception's trace that are kept beside its beginning
MOST = 100  # entries of a list or a dictionary
DEEPEST = 8

_SECRET_NAME = re.compile(
    r"(password|passwd|token|secret|authorization|cookie|ticket|api_?-?key|dsn)", re.IGNORECASE
)
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/\s'\"]+(?=@)")
_NAMES = r"(?:[\w-]*(?:token|ticket|password|passwd|secret|api[_-]?key|apikey|signature))"
_QUOTED = r"(?:'(?:[^'\\]|\\.)*+'?|\"(?:[^\"\\]|\\.)*+\"?)"
_PATTERNS = (
    # A value that is named, in a query, a header, JSON or the repr of a dict. A quote may be missing at a cut.
    (re.compile(rf"(?i)(?<![\w-])({_NAMES}=)[^&\s'\",;)\]}}]+"), rf"\1{BLANK}"),
    (re.compile(rf"(?i)(['\"]{_NAMES}['\"]\s*+[:,]\s*+b?){_QUOTED}"), rf"\1'{BLANK}'"),
    (re.compile(r"(?i)\b((?:proxy-)?authorization|x-api-key|x-plex-token|x-csrf-token|(?:set-)?cookie)"
                r"(['\"]?+\s*+[:,=]\s*+(?:b?['\"])?+)(?!\[redacted\])[^\r\n'\"]+"), rf"\1\2{BLANK}"),
    (re.compile(r"(?i)\b(bearer|basic)\s++[\w.~+/=-]{8,}"), rf"\1 {BLANK}"),
    # A signed token and an API key by their looks.
    (re.compile(r"(?<![\w-])((?>[\w-]*?(?=eyJ)))eyJ[\w-]{8,}+\.[\w-]++\.[\w-]*+"), rf"\1{BLANK}"),
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
    return _SECRET_NAME.search(name[:LONGEST]) is not None


def without_credentials(text: str) -> str:
    """A text whose URLs have lost user and password."""
    return _URL_CREDENTIALS.sub(BLANK, text) if "://" in text else text


def redacted(value: Any, depth: int = 0) -> Any:
    """A value of a log line, cut to a size for people, without the secrets that can be told from their surroundings."""
    if isinstance(value, str):
        return _blanked(value) if len(value) <= LONGEST else _cut(value)
    if isinstance(value, dict | list | tuple | set | frozenset):
        return _members(value, depth) if depth < DEEPEST else "…"
    if isinstance(value, bytes):
        return redacted(repr(value[: LONGEST + 1]))
    return redacted(repr(value)) if isinstance(value, BaseException) else value


def redacted_trace(text: str) -> str:
    """The trace of an exception; of a long one also its last lines, which say what it was."""
    if len(text) <= LONGEST:
        return _blanked(text)
    # Whole lines only: what a value was called stands before it on its line.
    _, _, last = text[-LAST:].partition("\n")
    return f"{_cut(text[:-LAST])}\n{_blanked(last)}"


def _cut(text: str) -> str:
    """The beginning of a text without its last word, which may be half of a secret; a longer one starts before it.

    What is named in what is left is blanked up to the cut, so nothing of a secret depends on where its end is.
    """
    begun = text[:LONGEST].rsplit(None, 1)
    kept = begun[0] if len(begun) > 1 else ""
    return f"{_blanked(kept)} … ({len(text) - len(kept)} more characters)"


def _members(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        return {
            _key(key): BLANK
            if isinstance(key, str) and is_secret_name(key) and each
            else redacted(each, depth + 1)
            for key, each in _first(value.items())
        }
    return [redacted(each, depth + 1) for each in _first(value)]


def _first(members: Any) -> list[Any]:
    return [each for each, _ in zip(members, range(MOST), strict=False)]


def _key(key: Any) -> Any:
    return key if not isinstance(key, str) or len(key) <= MOST else redacted(key)


def _blanked(text: str) -> str:
    if not _WORTH_A_LOOK.search(text):
        return text
    text = without_credentials(text)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
