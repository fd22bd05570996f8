"""File names for finished downloads that are valid on every file system, made from any title.

The rules are the strictest of ext4, APFS, NTFS, exFAT and SMB: 255 bytes of UTF-8, none of `<>:"/\\|?*`, no control
characters, no name of a DOS device, nothing that begins or ends with a dot or a space.
"""

from __future__ import annotations

import re
import unicodedata

MAX_BYTES = 255
_SUFFIX_BYTES = len("_ (99999)")  # room for the `_` before a device name and the number after a taken one
_ID_BYTES = 64
_UNTITLED = "video"

_REPLACED = str.maketrans(
    {"/": "-", "\\": "-", "|": "-", ":": "-", '"': "'", "<": "(", ">": ")", "?": "", "*": ""}
)
_DEVICE = re.compile(
    r"(?:CON|PRN|AUX|NUL|CLOCK\$|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9\u00b9\u00b2\u00b3])\Z", re.IGNORECASE
)
# Persian and Indic spelling and composed emoji need them between two characters.
_JOINERS = "\u200c\u200d"
_STRIPPED_AT_START, _STRIPPED_AT_END = " .-~" + _JOINERS, " ." + _JOINERS
_DROPPED = {"Cc", "Cf", "Cs", "Co"}
_VIRAMA = 9  # the canonical combining class (UAX 44, table 15)
_SPACES = {"Zs", "Zl", "Zp"}


def final_name(title: str, source_id: str, ext: str) -> str:
    """`<title> [<source id>].<ext>`, made safe; short enough that `numbered` fits too.

    `ext` comes from our own tables. An empty title becomes `video`; the same arguments give the same name.
    """
    label = _cut(safe_text(source_id).translate({ord("["): "(", ord("]"): ")"}), _ID_BYTES) or "unknown"
    tail = f" [{label}].{ext}"
    clean = safe_text(title).lstrip(_STRIPPED_AT_START).rstrip(_STRIPPED_AT_END)
    stem = _cut(clean, MAX_BYTES - _SUFFIX_BYTES - len(tail.encode())) or _UNTITLED
    if _DEVICE.match(stem.partition(".")[0].rstrip()):  # Windows compares the part before the first dot
        stem = f"_{stem}"
    return stem + tail


def numbered(name: str, number: int) -> str:
    """`name (2).ext` for the second file of a name; the name itself for the first."""
    if number < 2:
        return name
    stem, dot, ext = name.rpartition(".")
    return f"{stem} ({number}){dot}{ext}" if dot else f"{name} ({number})"


def is_safe_folder(name: str) -> bool:
    """Whether a folder name is valid as it is on every file system; users' folder names are never changed."""
    return (
        safe_text(name) == name
        and name == name.strip(_STRIPPED_AT_END)
        and not name.startswith(".")
        and len(name.encode()) <= MAX_BYTES - _SUFFIX_BYTES
        and not _DEVICE.match(name.partition(".")[0].rstrip())
    )


def safe_text(text: str) -> str:
    """The text in NFC with reserved, control and invisible characters replaced or dropped; not yet cut."""
    text = "".join(map(_safe_character, unicodedata.normalize("NFC", text)))
    text = re.sub(r"(?<=\S): ", " - ", text).translate(_REPLACED)
    # Normalised again: a dropped character may have stood between a letter and its accent.
    return unicodedata.normalize("NFC", " ".join(text.split()))


def _safe_character(character: str) -> str:
    category = unicodedata.category(character)
    if category in _SPACES or character in "\t\n\r\v\f\x85":
        return " "
    if category in _DROPPED and character not in _JOINERS:
        return ""  # controls, bidirectional overrides, lone surrogates, private use (SMB hides `:` and others there)
    point = ord(character)
    noncharacter = point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF
    return "" if noncharacter else character


def _cut(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, cut between grapheme clusters."""
    data = text.encode()
    if len(data) <= limit:
        return text
    end = len(data[:limit].decode(errors="ignore"))
    whole = end
    while whole > 0 and _continues(text, whole):
        whole -= 1
    # One cluster that is longer than the limit is cut anywhere.
    return text[: whole or end].rstrip(_STRIPPED_AT_END)


def _continues(text: str, index: int) -> bool:
    """Whether the character at `index` is in one grapheme cluster with the one before it (simplified UAX 29)."""
    here, before = text[index], text[index - 1]
    if unicodedata.category(here).startswith("M") or here in _JOINERS or before in _JOINERS:
        return True
    if unicodedata.combining(before) == _VIRAMA:  # Indic conjuncts
        return True
    if "\U0001f3fb" <= here <= "\U0001f3ff":  # skin tones
        return True
    # Flags are pairs of regional indicators: after an odd number of them this is a second half.
    if _is_regional(here) and _is_regional(before):
        start = index
        while start > 0 and _is_regional(text[start - 1]):
            start -= 1
        return (index - start) % 2 == 1
    return False


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
