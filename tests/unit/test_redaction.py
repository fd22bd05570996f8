"""What is cut out of a log line, and that nothing of a secret survives at the cut."""

from __future__ import annotations

import pytest

from config import redaction
from config.redaction import DEEPEST, LONGEST, MOST, redacted, redacted_trace

SECRET = "s3cr3tPassphrase"
SHAPES = (
    f"https://ann:{SECRET}{SECRET}@host/film",
    f"password={SECRET}{SECRET}",
    f'"newPassword": "{SECRET} {SECRET}"',
    f'"newPassword": "a\\"{SECRET}"',
    f"Authorization: Basic {SECRET}{SECRET}",
    f"Cookie: a={SECRET}; b={SECRET}",
    f"mn_{SECRET}{SECRET}",
    f"eyJhbGciOiJI.{SECRET}.{SECRET}",
    f"-eyJhbGciOiJI.{SECRET}.{SECRET}",
    f"[parameters: ('{SECRET}', '{SECRET}')]",
)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Smaller bounds, to try each place of a cut."""
    monkeypatch.setattr(redaction, "LONGEST", 400)
    monkeypatch.setattr(redaction, "LAST", 150)
    return 400, 150


@pytest.mark.parametrize("shape", SHAPES)
def test_no_part_of_a_secret_survives_wherever_the_cut_is(shape: str, short: tuple[int, int]) -> None:
    longest, _ = short
    for before in range(longest - len(shape) - 2, longest + 2):
        said = redacted("x" * (before - 1) + " " + shape + " and more" * 50)
        for end in range(4, len(SECRET)):
            assert SECRET[:end] not in said
        assert len(said) < longest + 200


@pytest.mark.parametrize("shape", SHAPES)
def test_nor_in_a_trace_of_which_the_end_is_kept_too(shape: str, short: tuple[int, int]) -> None:
    longest, last = short
    for after in range(last - len(shape) - 2, last + 2):
        said = redacted_trace("frame\n" * longest + shape + " " + "x" * (after - 20) + "\nKeyError: here")
        assert said.endswith("\nKeyError: here")
        assert SECRET[-6:] not in said
        assert len(said) < longest + last + 200


def test_what_is_large_or_deep_is_cut() -> None:
    assert len(redacted(["a"] * 10_000)) == MOST
    assert len(redacted(dict.fromkeys(range(10_000)))) == MOST
    assert len(redacted(b"\xff" * 1_000_000)) < 2 * LONGEST
    assert len(redacted(ValueError("a " * 1_000_000))) < 2 * LONGEST
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    assert str(redacted(deep)).count("[") == DEEPEST
    assert redacted({"a" * 100_000 + " b": 1}) != {}
