"""The page on operations names every event of the log and every line of the doctor."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


def calls(folder: str, names: set[str]) -> set[str]:
    """The first argument, where it is a text, of every call of one of these names."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = (
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                )
                owner = getattr(getattr(node.func, "value", None), "id", "log")
                if name in names and owner == "log" and isinstance(node.args[0].value, str):
                    found.add(node.args[0].value)
    return found


def test_every_event_of_the_log_is_explained() -> None:
    rooms = ("api", "cli", "config", "engine", "models", "schedules", "tasks")
    events = set().union(*(calls(room, LEVELS) for room in rooms))
    section = PAGE.partition("## Logs")[2].partition("\n## ")[0]
    assert len(events) > 20
    assert {event for event in events if f"`{event}`" not in section} == set(), (
        "explain them in docs/operations.md"
    )


def test_every_line_of_the_doctor_is_explained() -> None:
    subjects = calls("cli/doctor", {"ok", "warn", "fail"})
    section = PAGE.partition("## `medianest doctor`")[2].partition("\n## ")[0]
    assert len(subjects) > 10
    assert {subject for subject in subjects if not re.search(rf"`{subject}`", section)} == set()
