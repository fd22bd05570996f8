"""Reads JSON that other systems wrote: what is wrong with one text or number costs that text or number alone."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any

import orjson

DEEPEST = 100  # levels that are kept of a document that can't be read as it is
_LONGEST_NUMBER = 400  # digits; the largest that a float can hold has 309

_BEYOND = re.compile("[\0\ud800-\udfff]")
# A string, also one that never ends, or a bracket: every character is looked at once, whatever the text is.
_STRUCTURE = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[{\]}]', re.DOTALL)


class NotJson(ValueError):
    """It is no JSON, also with all allowance made."""


def decoded(body: bytes | str) -> Any:
    """The document in an answer or message; its texts can be stored, and its numbers are finite.

    What is no Unicode becomes U+FFFD, NUL is left out, NaN and infinities become None, integers beyond 64 bits floats.
    It may be UTF-8, UTF-16 or UTF-32. A byte order mark, control characters in texts and trailing NULs are overlooked.
    Of two equal keys the last counts.
    Good JSON is read by orjson at its full speed, up to 1024 levels deep; of what has to be mended, 100 are kept.

    Raises:
        NotJson: it is cut short, or something else.
    """
    nul = "\\u0000" in body if isinstance(body, str) else b"\\u0000" in body
    if not nul:
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass
    return mended(body)


def mended(body: bytes | str) -> Any:
    """As `decoded`, and in any case nothing deeper than 100 levels: what is below is null.

    Raises:
        NotJson: it is cut short, or something else.
    """
    try:
        found = json.loads(
            _shallow(_text(body)).rstrip("\0 \t\r\n"),
            strict=False,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=lambda _: None,
        )
    except (ValueError, RecursionError):
        raise NotJson("It is not valid JSON, or cut short.") from None
    return _cleaned(found)


def objects(told: Any) -> list[dict[str, Any]]:
    """The objects in a list; an object that stands alone is all of one, and whatever else there is is left out."""
    if isinstance(told, dict):
        return [told]
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def storable(text: str) -> str:
    """A text as PostgreSQL takes it: without NUL, and with U+FFFD for halves of characters."""
    if _BEYOND.search(text) is None:
        return text
    whole = text.replace("\0", "").encode("utf-16", "surrogatepass")
    return whole.decode("utf-16", "replace")


def _text(body: bytes | str) -> str:
    if isinstance(body, str):
        return body.removeprefix("\ufeff")
    return body.decode(json.detect_encoding(body), "replace")


def _shallow(text: str) -> str:
    """The text with null for what is nested too deeply."""
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
