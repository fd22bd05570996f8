"""Which settings take a person who has lately proved to be there, against the page that lists them."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from config.settings import Settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "permissions.md"


def test_the_page_lists_them() -> None:
    paragraph = re.search(r"^Guarded settings.*?\n\n", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert paragraph is not None
    told = set(re.findall(r"`([A-Z_]+)`", paragraph[0]))
    guarded = {spec.metadata["env"] for spec in fields(Settings) if Settings.is_guarded(spec.name)}

    assert {name for name in guarded if not name.startswith("RATE_LIMIT_")} | {"RATE_LIMIT_ENABLED"} == told
    assert {
        spec.metadata["env"] for spec in fields(Settings) if spec.name.startswith("rate_limit_")
    } <= guarded


def test_all_of_them_can_be_changed_while_everything_runs() -> None:
    assert all(spec.metadata["live"] for spec in fields(Settings) if Settings.is_guarded(spec.name))
