"""Progress is one line that never falls, whatever the streams report."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clients.fetch_errors import FetchError
from engine.clients.fetch_signals import Progress, Signal
from engine.clients.ytdlp.progress import Expected, Meter


class Clock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def heard(signals: list[Signal]) -> list[Progress]:
    return [signal for signal in signals if isinstance(signal, Progress)]


def running(done: int, total: int | None = None, **more: Any) -> dict[str, Any]:
    return {"status": "downloading", "downloaded_bytes": done, "total_bytes": total, **more}


def finished(total: int) -> dict[str, Any]:
    return {"status": "finished", "downloaded_bytes": total, "total_bytes": total}


def test_two_streams_add_up_to_one() -> None:
    signals: list[Signal] = []
    clock = Clock()
    meter = Meter(signals.append, [Expected(900, 1), Expected(100, 1)], downloads_share=0.9, clock=clock)
    reports = [(0, running(450, 900, speed=50.0)), (0, finished(900))]
    reports += [(1, running(0, 100)), (1, running(50, 100)), (1, finished(100))]
    for index, status in reports:
        clock.now += 1
        meter.hook(index)(status)
    clock.now += 1
    meter.processing(0.5)
    meter.processing(1.0)

    line = heard(signals)
    assert [each.downloaded_bytes for each in line] == [450, 900, 900, 950, 1000, 1000, 1000]
    assert {each.total_bytes for each in line} == {1000}
    assert [round(each.fraction or 0, 3) for each in line] == [0.405, 0.81, 0.81, 0.855, 0.9, 0.95, 1.0]
    assert (line[0].speed, line[0].eta) == (50.0, 11.0)
    assert [each.phase for each in line] == ["downloading"] * 5 + ["processing"] * 2


def test_the_first_and_the_last_are_told_at_once_and_what_is_between_four_times_a_second() -> None:
    signals: list[Signal] = []
    clock = Clock()
    meter = Meter(signals.append, [Expected(None, 1)], downloads_share=1.0, clock=clock)

    for number in range(1, 101):
        meter.hook(0)(running(number, 100))
        clock.now += 0.01
    meter.hook(0)(finished(100))

    line = heard(signals)
    assert line[0].downloaded_bytes == 1
    assert line[-1].fraction == 1.0
    assert len(line) == 5


def test_of_an_unknown_size_nothing_is_promised() -> None:
    signals: list[Signal] = []
    meter = Meter(signals.append, [Expected(None, 1)], downloads_share=1.0, clock=Clock())

    meter.hook(0)(running(5000))

    assert heard(signals) == [Progress(phase="downloading", downloaded_bytes=5000)]


def test_more_than_allowed_ends_the_attempt() -> None:
    meter = Meter(lambda _: None, [Expected(None, 1)], downloads_share=1.0, max_bytes=1000)

    with pytest.raises(FetchError, match="too_large"):
        meter.hook(0)(running(1001))


def test_longer_than_allowed_ends_the_attempt() -> None:
    clock = Clock()
    meter = Meter(lambda _: None, [Expected(None, 1)], downloads_share=1.0, max_seconds=60, clock=clock)
    meter.hook(0)(running(1))

    clock.now = 61
    with pytest.raises(FetchError, match="too_slow"):
        meter.hook(0)(running(2))


STATUS = st.fixed_dictionaries(
    {"status": st.sampled_from(["downloading", "downloading", "finished", "error"])},
    optional={
        "downloaded_bytes": st.none() | st.integers(0, 10_000),
        "total_bytes": st.none() | st.integers(0, 10_000),
        "total_bytes_estimate": st.none() | st.floats(0, 10_000),
        "fragment_index": st.none() | st.integers(0, 10),
        "fragment_count": st.none() | st.integers(1, 10),
        "speed": st.none() | st.floats(0, 1e9),
    },
)


@given(
    expected=st.lists(
        st.builds(Expected, st.none() | st.integers(1, 10_000), st.floats(0.1, 100)), min_size=1, max_size=3
    ),
    events=st.lists(st.tuples(st.integers(0, 2), STATUS, st.floats(0, 1))),
    share=st.floats(0.1, 1),
)
def test_it_never_falls(expected: list[Expected], events: list[tuple[int, Any, float]], share: float) -> None:
    signals: list[Signal] = []
    clock = Clock()
    meter = Meter(signals.append, expected, downloads_share=share, clock=clock)

    for index, status, pause in events:
        clock.now += pause
        meter.hook(index % len(expected))(status)
    meter.processing(1.0)

    line = heard(signals)
    fractions = [each.fraction for each in line if each.fraction is not None]
    assert fractions == sorted(fractions)
    assert all(0 <= each <= 1 for each in fractions)
    assert fractions[-1] == 1.0
    assert [each.downloaded_bytes for each in line] == sorted(each.downloaded_bytes for each in line)
    assert all(each.total_bytes is None or each.total_bytes >= each.downloaded_bytes for each in line)
