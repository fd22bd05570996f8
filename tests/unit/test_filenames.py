"""Final names: whatever a site says, every file system takes the name and nothing gets out of the folder."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.storage.filenames import MAX_BYTES, final_name, numbered

HOSTILE = [
    "", " ", "   \t\n ", ".", "..", "...", "../../etc/passwd", "..\\..\\windows\\system32", "/etc/passwd",
    "C:\\boot.ini", "C:", "\\\\server\\share", "a/b/c", "a\\b", "con", "CON", "con.txt", "CON .mp4", "nul",
    "NUL.tar.gz", "aux", "prn.x", "COM1", "com9.log", "LPT1", "COM\u00b9", "lpt\u00b2.txt", "CONIN$",
    "clock$", "-rf", "--help", "-", "~", "~root", ".hidden", ".bashrc", "trailing.", "trailing...",
    "trailing ", "trailing . . ", "<script>alert(1)</script>", 'quo"te', "que?tion*", "pi|pe",
    "colon: subtitle", "12:30", "new\nline", "tab\tbed", "nul\0byte", "bell\x07", "esc\x1b[31mred",
    "del\x7fete", "\u202egnp.exe", "\u2066isolate\u2069", "zero\u200bwidth", "\ufeffbom",
    "soft\u00adhyphen", "\ud800lone", "lone\udfff", "\uffffnonchar", "\ufdd0", "priv\ue000ate", "\uf022smb",
    "line\u2028sep", "para\u2029sep", "\u3000wide\u3000space", "\u00a0nbsp", "%2e%2e%2f", "%(title)s",
    "$HOME", "`id`", "$(id)", "; rm -rf /", "&& true", "e\u0301" * 200, "a" * 300, "é" * 300, "漢" * 300,
    "👍🏽" * 100, "👨‍👩‍👧‍👦" * 40, "🇩🇪" * 80, "Z" + "\u0301" * 500, "\u0301leading mark", "\u200d",
    "\u200c\u200c", "नमस्ते " * 40, "می‌خواهم", "שלום", "مرحبا", "🎬", "[x] [y].mp4", "a" * 245 + "👍🏽",
    "x" * 238 + ". . .", "COM1" + "." + "x" * 300, "file.mp4", "many    spaces", "\x85next line",
    "\U000e0041tag",
]  # fmt: skip
FORBIDDEN = set('<>:"/\\|?*')
DEVICES = {"CON", "PRN", "AUX", "NUL", "CLOCK$", "CONIN$", "CONOUT$"} | {
    f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789\u00b9\u00b2\u00b3"
}


def assert_safe(name: str) -> None:
    data = name.encode("utf-8", "strict")  # no lone surrogates
    assert 0 < len(data) <= MAX_BYTES
    assert not FORBIDDEN & set(name)
    assert not {c for c in name if unicodedata.category(c) in {"Cc", "Cs", "Co", "Zl", "Zp"}}
    assert not {c for c in name if unicodedata.category(c) == "Cf"} - {"\u200c", "\u200d"}
    assert name == unicodedata.normalize("NFC", name)
    assert name[0] not in " .-~"
    assert name[-1] not in " ."
    assert name.partition(".")[0].rstrip().upper() not in DEVICES
    assert Path(name).name == name


@pytest.mark.parametrize("title", HOSTILE)
def test_a_hostile_title_gives_a_name_for_every_file_system(title: str, tmp_path: Path) -> None:
    name = final_name(title, "abc-123_XYZ", "mp4")

    assert_safe(name)
    assert name.endswith(" [abc-123_XYZ].mp4")
    (tmp_path / name).write_bytes(b"x")
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("source_id", HOSTILE)
def test_a_hostile_source_id_is_made_safe_too(source_id: str) -> None:
    name = final_name("Title", source_id, "webm")

    assert_safe(name)
    assert name.startswith("Title [")
    assert name.endswith("].webm")
    assert name.count("[") == name.count("]") == 1


def test_there_are_at_least_sixty_kinds_of_hostile_titles() -> None:
    assert len(set(HOSTILE)) >= 60


@given(
    title=st.text(st.characters(codec=None)),
    source_id=st.text(st.characters(codec=None)),
    number=st.integers(1, 99999),
)
@example(title="\ud83d\ude00", source_id="\udc00", number=2)
def test_any_title_and_id_give_a_safe_name_that_stays_the_same(
    title: str, source_id: str, number: int
) -> None:
    name = final_name(title, source_id, "mkv")

    assert_safe(name)
    assert_safe(numbered(name, number))
    assert name == final_name(title, source_id, "mkv")


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("A plain title", "A plain title [id].mp4"),
        ("Blade Runner: The Final Cut", "Blade Runner - The Final Cut [id].mp4"),
        ("AC/DC at 12:30?", "AC-DC at 12-30 [id].mp4"),
        ('He said "no"', "He said 'no' [id].mp4"),
        ("", "video [id].mp4"),
        ("...", "video [id].mp4"),
        ("nul.txt", "_nul.txt [id].mp4"),
        (".hidden", "hidden [id].mp4"),
        ("-rf", "rf [id].mp4"),
        ("Mr. Bean", "Mr. Bean [id].mp4"),
        ("Cafe\u0301", "Café [id].mp4"),
        ("🎬 Film 👨‍👩‍👧", "🎬 Film 👨‍👩‍👧 [id].mp4"),
        ("\u202egnp.exe", "gnp.exe [id].mp4"),
    ],
)
def test_readable_titles_stay_readable(title: str, expected: str) -> None:
    assert final_name(title, "id", "mp4") == expected


@pytest.mark.parametrize("character", ["e\u0323\u0301", "👍🏽", "👨‍👩‍👧‍👦", "🇩🇪", "漢", "क्षि"])
def test_a_long_title_is_cut_between_characters_never_inside_one(character: str) -> None:
    name = final_name(character * 200, "id", "mp4")

    stem = name.removesuffix(" [id].mp4")
    whole = unicodedata.normalize("NFC", character)
    assert stem == whole * (len(stem) // len(whole))
    assert len(stem) > 0
    assert len(name.encode()) <= MAX_BYTES


def test_an_id_keeps_its_first_character_and_the_longest_device_name_its_room() -> None:
    assert final_name("Title", "-wtIMTCHWuI", "mp4") == "Title [-wtIMTCHWuI].mp4"
    assert_safe(numbered(final_name("COM1." + "x" * 300, "id", "mp4"), 99999))


def test_a_number_goes_before_the_extension_and_fits_even_after_the_longest_name() -> None:
    longest = final_name("x" * 500, "y" * 500, "webm")

    assert numbered("Title [id].mp4", 2) == "Title [id] (2).mp4"
    assert numbered("Title [id].mp4", 1) == "Title [id].mp4"
    assert_safe(numbered(longest, 99999))
