"""When a message may be sent, on the clock of its recipient."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from engine.notifications.timing import Schedule

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = (time(22, 30), time(7))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-01-10T21:29", "2026-01-10T21:29"),  # 22:29 in Berlin
        ("2026-01-10T21:30", "2026-01-11T06:00"),
        ("2026-01-11T03:00", "2026-01-11T06:00"),  # behind midnight
        ("2026-01-11T06:00", "2026-01-11T06:00"),
        ("2026-07-10T20:30", "2026-07-11T05:00"),  # in summer
        ("2026-03-28T23:00", "2026-03-29T05:00"),  # the night that has one hour less
        ("2026-10-24T22:00", "2026-10-25T06:00"),  # and the one that has one more
    ],
)
def test_quiet_hours_over_midnight(now: str, due: str) -> None:
    assert Schedule(BERLIN, NIGHT).due(at(now)) == at(due)


def test_quiet_hours_within_a_day() -> None:
    nap = Schedule(BERLIN, (time(13), time(15)))

    assert nap.due(at("2026-01-10T12:30")) == at("2026-01-10T14:00")
    assert nap.due(at("2026-01-10T14:00")) == at("2026-01-10T14:00")


def test_an_end_that_the_clock_leaves_out_is_the_moment_after_it() -> None:
    early = Schedule(BERLIN, (time(23), time(2, 30)))

    assert early.due(at("2026-03-29T00:30")) == at("2026-03-29T01:30")  # 03:30 in summer time


def test_an_end_that_comes_twice_is_its_first_time() -> None:
    early = Schedule(BERLIN, (time(23), time(2, 30)))

    assert early.due(at("2026-10-24T22:00")) == at("2026-10-25T00:30")


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-01-10T06:59", "2026-01-10T07:00"),
        ("2026-01-10T07:00", "2026-01-11T07:00"),
        ("2026-07-10T12:00", "2026-07-11T06:00"),
    ],
)
def test_a_digest_waits_for_its_hour(now: str, due: str) -> None:
    assert Schedule(BERLIN, None, 8).due(at(now)) == at(due)


def test_a_digest_waits_for_the_end_of_quiet_hours() -> None:
    sleeper = Schedule(BERLIN, (time(22), time(10)), 8)

    assert sleeper.due(at("2026-01-10T05:00")) == at("2026-01-10T09:00")
