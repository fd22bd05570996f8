"""Names for finished files that every file system takes, whatever a site calls its videos.

The rules are the strictest of ext4, APFS, NTFS, exFAT and SMB: 255 bytes of UTF-8, none of `<>:"/\\|?*`, no control
characters, no name of a DOS device, nothing that begins or ends with a dot or a space.
"""

from __future__ import annotations

import re
import unicodedata

MAX_BYTES = 255
_ROOM = len("_ (99999)")  # the mark of a device's name, the number of a taken one
_ID_BYTES = 64
_UNTITLED = "video"

_REPLACED = str.maketrans(
    {"/": "-", "\\": "-", "|": "-", ":": "-", '"': "'", "<": "(", ">": ")", "?": "", "*": ""}
)
_DEVICE = re.compile(
    r"(?:CON|PRN|AUX|NUL|CLOCK\$|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9\u00b9\u00b2\u00b3])\Z", re.IGNORECASE
)
# Persian and Indic spelling, and emoji made of several, need them between two characters.
_JOINERS = "\u200c\u200d"
_OUTER, _LAST = " .-~" + _JOINERS, " ." + _JOINERS
_DROPPED = {"Cc", "Cf", "Cs", "Co"}
_VIRAMA = 9  # the canonical combining class (UAX 44, table 15)
_SPACES = {"Zs", "Zl", "Zp"}


def final_name(title: str, source_id: str, ext: str) -> str:
    """`<title> [<source id>].<ext>`, made safe; short enough that `numbered` fits too.

    `ext` comes from our own tables. An empty title becomes `video`; the same arguments give the same name.
    """
    label = _cut(_safe(source_id).translate({ord("["): "(", ord("]"): ")"}), _ID_BYTES) or "unknown"
    tail = f" [{label}].{ext}"
    clean = _safe(title).lstrip(_OUTER).rstrip(_LAST)
    stem = _cut(clean, MAX_BYTES - _ROOM - len(tail.encode())) or _UNTITLED
    if _DEVICE.match(stem.partition(".")[0].rstrip()):  # Windows looks at what stands before the first dot
        stem = f"_{stem}"
    return stem + tail


def numbered(name: str, number: int) -> str:
    """`name (2).ext` for the second file of a name; the name itself for the first."""
    if number < 2:
        return name
    stem, dot, ext = name.rpartition(".")
    return f"{stem} ({number}){dot}{ext}" if dot else f"{name} ({number})"


def is_safe_folder(name: str) -> bool:
    """Whether one folder's name is fine as it is on every file system; people's own names are not changed."""
    return (
        _safe(name) == name
        and name == name.strip(_LAST)
        and not name.startswith(".")
        and len(name.encode()) <= MAX_BYTES - _ROOM
        and not _DEVICE.match(name.partition(".")[0].rstrip())
    )


def _safe(text: str) -> str:
    """The text in NFC without what a file system or a reader stumbles over; not yet short."""
    text = "".join(map(_safe_character, unicodedata.normalize("NFC", text)))
    text = re.sub(r"(?<=\S): ", " - ", text).translate(_REPLACED)
    # Once more: what is gone may have stood between a letter and its accent.
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
    """At most `limit` bytes, without leaving half of what a reader sees as one character."""
    data = text.encode()
    if len(data) <= limit:
        return text
    end = len(data[:limit].decode(errors="ignore"))
    whole = end
    while whole > 0 and _continues(text, whole):
        whole -= 1
    # A character with hundreds of accents has no place to cut: then anywhere.
    return text[: whole or end].rstrip(_LAST)


def _continues(text: str, index: int) -> bool:
    """Whether the character at `index` belongs to the one before it."""
    here, before = text[index], text[index - 1]
    if unicodedata.category(here).startswith("M") or here in _JOINERS or before in _JOINERS:
        return True
    if unicodedata.combining(before) == _VIRAMA:  # Indic conjuncts
        return True
    if "\U0001f3fb" <= here <= "\U0001f3ff":  # skin tones
        return True
    if _is_regional(here) and _is_regional(before):  # flags are pairs: an odd number before means a half one
        start = index
        while start > 0 and _is_regional(text[start - 1]):
            start -= 1
        return (index - start) % 2 == 1
    return False


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
