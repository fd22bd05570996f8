"""The table of limits, and the windows that are kept in memory."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import variables
from config.settings import Settings
from config.variables import Rate
from engine.rate_limits import sliding_windows
from engine.rate_limits.limits import LIMITS
from engine.rate_limits.sliding_windows import Asked, LocalWindows


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sliding_windows, "time", clock)
    return clock


class Clock:
    """Time that passes when a test says so."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    time = monotonic


def passes(windows: LocalWindows, *asked: Asked) -> bool:
    return windows.take(asked).retry_after == 0


def test_every_number_in_the_settings_is_a_limit() -> None:
    fields = {spec.name for spec in dataclasses.fields(Settings) if spec.metadata["parse"] is variables.rates}

    assert {limit.setting for limit in LIMITS.values()} == fields


def test_development_has_ten_times_as_much_of_what_is_not_set() -> None:
    settings = Settings.load({"APP_ENV": "development", "RATE_LIMIT_USER": "7/min"})

    assert settings.rate_limit_login == (Rate(50, 900),)
    assert settings.rate_limit_anonymous == (Rate(100, 60), Rate(1000, 3600))
    assert settings.rate_limit_user == (Rate(7, 60),)
    assert Settings.load({"APP_ENV": "production"}).rate_limit_login == (Rate(5, 900),)


def test_the_window_slides(clock: Clock) -> None:
    windows, asked = LocalWindows(), Asked("a", (Rate(4, 60),))
    assert [passes(windows, asked) for _ in range(2)] == [True] * 2
    clock.now += 40
    assert [passes(windows, asked) for _ in range(3)] == [True, True, False]
    clock.now += 20  # a fixed window would begin anew here
    assert [passes(windows, asked) for _ in range(3)] == [True, True, False]


@given(st.lists(st.floats(0, 5), max_size=80), st.integers(1, 6), st.integers(1, 20))
def test_no_window_holds_more_than_its_amount_and_none_refuses_without_need(
    pauses: list[float], amount: int, seconds: int
) -> None:
    clock, windows = Clock(), LocalWindows()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sliding_windows, "time", clock)
        through: list[float] = []
        for pause in pauses:
            clock.now += pause
            recent = [at for at in through if at > clock.now - seconds]
            verdict = windows.take([Asked("a", (Rate(amount, seconds), Rate(10, 60)))])
            allowed = len(recent) < amount and len([at for at in through if at > clock.now - 60]) < 10
            assert (verdict.retry_after == 0) == allowed
            if allowed:
                through.append(clock.now)


def test_a_request_counts_for_all_its_limits_or_for_none(clock: Clock) -> None:
    windows = LocalWindows()
    wide, narrow = Asked("wide", (Rate(10, 60),)), Asked("narrow", (Rate(1, 60),))
    assert passes(windows, wide, narrow)
    assert not passes(windows, wide, narrow)
    assert windows.take([wide]).remaining == 8


def test_the_tightest_limit_is_told(clock: Clock) -> None:
    verdict = LocalWindows().take(
        [Asked("a", (Rate(100, 60), Rate(1000, 3600))), Asked("b", (Rate(30, 60),))]
    )

    assert (verdict.limit, verdict.rate, verdict.remaining) == (1, Rate(30, 60), 29)
    assert verdict.reset == clock.now + 60


def test_advice_doubles_while_a_client_knocks_and_is_forgotten_when_there_is_room(clock: Clock) -> None:
    windows, asked = LocalWindows(), Asked("a", (Rate(1, 60),))
    windows.take([asked])
    clock.now += 10
    assert [windows.take([asked]).retry_after for _ in range(4)] == [50, 100, 200, 400]
    for _ in range(20):
        longest = windows.take([asked]).retry_after
    assert longest == 86400
    clock.now += 50
    assert passes(windows, asked)
    assert windows.take([asked]).retry_after == 60


def test_what_is_given_back_is_free_again(clock: Clock) -> None:
    windows, asked = LocalWindows(), Asked("a", (Rate(1, 60),))
    windows.take([asked])
    windows.give_back("a")
    windows.give_back("a")
    windows.give_back("unknown")
    assert passes(windows, asked)
    assert not passes(windows, asked)


def test_memory_is_bounded() -> None:
    windows = LocalWindows(most_subjects=10, most_stamps=50)
    for number in range(1000):
        windows.take([Asked(f"{number}", (Rate(1, 60),))])
    assert len(windows._subjects) <= 11
    for _ in range(1000):
        windows.take([Asked("much", (Rate(10**9, 60),))])
    assert sum(len(subject.stamps) for subject in windows._subjects.values()) == windows._stamps <= 51


def test_threads_get_no_more_than_the_amount() -> None:
    windows, asked = LocalWindows(), [Asked("a", (Rate(100, 60),))]
    counted = itertools.count()
    begin = threading.Barrier(8)

    def knock() -> None:
        begin.wait()
        for _ in range(100):
            if windows.take(asked).retry_after == 0:
                next(counted)
            time.sleep(0)

    threads = [threading.Thread(target=knock) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert next(counted) == 100
