"""What the doctor says of one thing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        subject: a few words that stay the same, for programs too.
        text: what was seen.
        advice: what to do; empty where all is well.
    """

    subject: str
    state: State
    text: str
    advice: str = ""


Check = Callable[[], Iterable[Finding]]


def ok(subject: str, text: str) -> Finding:
    """All is well."""
    return Finding(subject, "ok", text)


def warn(subject: str, text: str, advice: str) -> Finding:
    """It works, but not for long, or not as it should."""
    return Finding(subject, "warn", text, advice)


def fail(subject: str, text: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(subject, "fail", text, advice)


def examine(subject: str, check: Check) -> list[Finding]:
    """Make a check; one that breaks down is a finding too, never a traceback."""
    found: list[Finding] = []
    try:
        found.extend(check())
    except Exception as error:  # noqa: BLE001 - a doctor never faints
        words = (str(error).strip().splitlines() or [""])[0]
        text = f"can't be examined: {type(error).__name__}" + (f": {words}" if words else "")
        found.append(fail(subject, text, "look at this message, and at the logs of the process it is about"))
    return found
