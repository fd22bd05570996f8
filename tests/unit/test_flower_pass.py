"""The pass into Flower: for one target, for a minute, by the holder of the key."""

from __future__ import annotations

import dataclasses

import pytest

from config.settings import Settings
from engine.monitoring import flower_pass

SETTINGS = Settings(secret_key="s" * 48)
TARGET = "/flower/workers?json=1"


def test_a_pass_is_good_for_its_target_alone() -> None:
    given = flower_pass.issue(SETTINGS, TARGET)
    assert flower_pass.accepts(SETTINGS, given, TARGET)
    assert not flower_pass.accepts(SETTINGS, given, "/flower/tasks")


def test_only_the_holder_of_the_key_can_make_one() -> None:
    stranger = dataclasses.replace(SETTINGS, secret_key="t" * 48)
    assert not flower_pass.accepts(SETTINGS, flower_pass.issue(stranger, TARGET), TARGET)


@pytest.mark.parametrize("shift", [-61.0, 61.0])
def test_it_runs_out(monkeypatch: pytest.MonkeyPatch, shift: float) -> None:
    given = flower_pass.issue(SETTINGS, TARGET)
    now = flower_pass.time.time()
    monkeypatch.setattr(flower_pass.time, "time", lambda: now + shift)
    assert not flower_pass.accepts(SETTINGS, given, TARGET)


@pytest.mark.parametrize("given", ["", ".", "x", "1.2", "9" * 500, "١٢٣.4", "-1.00", "1e3.00", "\x00"])
def test_nonsense_is_refused(given: str) -> None:
    assert not flower_pass.accepts(SETTINGS, given, TARGET)
