"""Password strength by zxcvbn: lists of common ones, names, dates, keyboard rows, and the person's own data."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

ACCEPTED = (
    "Take at least 8 characters that are no common password, no name or date and no row of keys; "
    "three or four words that have nothing to do with each other do well."
)
# The lists that are tried first hold some ten thousand passwords; with ten failed sign-ins to an account in 15 minutes
# they take ten days.
_FEWEST_GUESSES = 10_000
_JUDGED = (
    25,
    50,
)  # characters: the time grows steeply with them, and nearly every password is strong by the first
_FEWEST_OTHERS = 6  # letters and digits beside what is known of the person
_SHORTEST_PART = 3
_LONGEST = 400  # characters of a name or address
_PRODUCT = "medianest"
_OWN = "It is made of your name, your address or the name of this product."
_REPEATED = "It says the same a few times over."
_PLAIN = "It follows a pattern that is tried early."
_WORD_BREAKS = re.compile(r"[\W_]+")


def weakness(password: str, *, about: Iterable[str]) -> str | None:
    """Why a password is too easy to guess, as a sentence; None for a strong one.

    Args:
        password: of any length; what comes behind the first 50 characters is not looked at.
        about: name and address of the person, by which nobody must be able to guess it.
    """
    known = _parts(map(_plain, about))
    begin = _plain(password[: _JUDGED[-1]])
    text = _once(begin)
    if _others(text, known) < _FEWEST_OTHERS and _others(text, ()) >= _FEWEST_OTHERS:
        return _OWN
    reason = _PLAIN
    for length in _JUDGED:
        found = _judged(text[:length], known)
        if found["guesses"] > _FEWEST_GUESSES:
            return None
        reason = _reason(found) if text == begin else _REPEATED
        if length >= len(text):
            break
    return reason


def _plain(text: str) -> str:
    """Without accents, and with letters of other widths as ordinary ones: who guesses tries those."""
    return "".join(
        char
        for char in unicodedata.normalize("NFKD", text[: 2 * _LONGEST])
        if not unicodedata.combining(char)
    )[:_LONGEST]


def _once(text: str) -> str:
    """What a text repeats, where it is nothing but that at least twice; else the text."""
    for length in range(1, len(text) // 2 + 1):
        if text[length:] == text[:-length]:
            return text[:length]
    return text


def _others(text: str, known: Iterable[str]) -> int:
    """How many letters and digits are left of a text without what is known of a person."""
    left = text.lower()
    for part in sorted(known, key=len, reverse=True):
        if len(part) >= _SHORTEST_PART:
            left = left.replace(part, " ")
    return len(_WORD_BREAKS.sub("", left))


def _judged(piece: str, known: list[str]) -> dict[str, Any]:
    # Here and not above: its word lists take 15 MB, which a process that sets no password never needs.
    from zxcvbn import zxcvbn  # type: ignore[import-untyped]  # noqa: PLC0415

    found: dict[str, Any] = zxcvbn(piece, user_inputs=known)
    return found


def _reason(found: dict[str, Any]) -> str:
    if any(match.get("dictionary_name") == "user_inputs" for match in found["sequence"]):
        return _OWN
    return str(found["feedback"]["warning"]) or _PLAIN


def _parts(about: Iterable[str]) -> list[str]:
    """Each text in lower case: whole, without its gaps, and its words; the likeliest guess first."""
    parts: dict[str, None] = {_PRODUCT: None}
    for text in about:
        lowered = text.lower()
        local, _, domain = lowered.partition("@")
        for whole in (lowered, local, domain.rpartition(".")[0]):
            words = [word for word in _WORD_BREAKS.split(whole) if word]
            parts.update(dict.fromkeys((whole, "".join(words), *words)))
    return [part for part in parts if part]
