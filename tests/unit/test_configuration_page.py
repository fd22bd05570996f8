"""The page on settings says exactly what the settings are."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from config.settings import Settings
from config.variables import text_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"


def test_every_setting_is_on_the_page_with_its_default_and_whether_it_is_live_and_no_other() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (yes)? ?\| (.*?) \|$", PAGE.read_text(), re.MULTILINE)
    shown = {name: (default.strip("`"), live == "yes", text) for name, default, live, text in rows}
    actual = {
        field.metadata["env"]: (
            default(field.default, field.metadata["help"]),
            field.metadata["live"],
            field.metadata["help"],
        )
        for field in fields(Settings)
    }
    assert shown == actual, "docs/configuration.md has another row, or none"


def default(value: object, about: str) -> str:
    """A default as the page writes it."""
    if isinstance(value, Path):
        return f"./{value.relative_to(Path.cwd())}"
    return text_of(value) or ("off" if about.startswith("rate limit") else "-")
