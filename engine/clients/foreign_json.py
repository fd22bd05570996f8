"""Parses JSON from other systems leniently: an invalid text or number is replaced, the rest is kept."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any

import orjson

DEEPEST = 100  # nesting levels that are kept of a document that has to be repaired
_LONGEST_NUMBER = 400  # digits; the largest that a float can hold has 309

_BEYOND = re.compile("[\0\ud800-\udfff]")
# A string (also an unterminated one) or a bracket; possessive, so that matching takes linear time.
_STRUCTURE = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[{\]}]', re.DOTALL)


class NotJson(ValueError):
    """It can't be parsed as JSON even leniently."""


def decoded(body: bytes | str) -> Any:
    """Parse a document; its texts can be stored in PostgreSQL and its numbers are finite.

    Invalid Unicode becomes U+FFFD, NUL is dropped, NaN and infinities become None, integers beyond 64 bits floats.
    The encoding may be UTF-8, UTF-16 or UTF-32. A byte order mark, control characters in texts and trailing NULs are
    accepted. Of duplicate keys the last one counts.
    Valid JSON is parsed by orjson, up to 1024 levels deep; of a document that has to be repaired, 100 are kept.

    Raises:
        NotJson: it is truncated, or not JSON.
    """
    nul = "\\u0000" in body if isinstance(body, str) else b"\\u0000" in body
    if not nul:
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass
    return repaired(body)


def repaired(body: bytes | str) -> Any:
    """As `decoded`, by the slow lenient parser; values nested deeper than 100 levels become null.

    Raises:
        NotJson: it is truncated, or not JSON.
    """
    try:
        found = json.loads(
            _depth_limited(_text(body)).rstrip("\0 \t\r\n"),
            strict=False,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=lambda _: None,
        )
    except (ValueError, RecursionError):
        raise NotJson("It is not valid JSON, or cut short.") from None
    return _cleaned(found)


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects in a list, without its other elements; a single object counts as a list of one."""
    if isinstance(value, dict):
        return [value]
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def storable(text: str) -> str:
    """A text that PostgreSQL can store: without NUL, with U+FFFD for lone surrogates."""
    if _BEYOND.search(text) is None:
        return text
    whole = text.replace("\0", "").encode("utf-16", "surrogatepass")
    return whole.decode("utf-16", "replace")


def _text(body: bytes | str) -> str:
    if isinstance(body, str):
        return body.removeprefix("\ufeff")
    return body.decode(json.detect_encoding(body), "replace")


def _depth_limited(text: str) -> str:
    """The text with null in place of arrays and objects nested deeper than `DEEPEST`."""
    parts, depth, start = list[str](), 0, 0
    for found in _STRUCTURE.finditer(text):
        mark = found[0]
        if mark in "[{":
            depth += 1
            if depth == DEEPEST + 1:
                parts.append(text[start : found.start()])
        elif mark in "]}":
            depth -= 1
            if depth == DEEPEST:
                parts.append("null")
                start = found.end()
    return "".join(parts) + text[start:] if depth <= DEEPEST else text


def _integer(digits: str) -> int | float | None:
    if len(digits) > 20:
        return _float(digits)
    number = int(digits)
    return number if -(2**63) <= number < 2**64 else float(number)


def _float(digits: str) -> float | None:
    number = float(digits) if len(digits) <= _LONGEST_NUMBER else float("inf")
    return number if isfinite(number) else None


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_cleaned(each) for each in value]
    if isinstance(value, dict):
        return {storable(name): _cleaned(each) for name, each in value.items()}
    return value
