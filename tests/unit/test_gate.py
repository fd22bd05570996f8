"""A service that hangs keeps few waiting, and one that fails is left alone for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from engine.clients import gate
from engine.clients.gate import Gate, GateClosed


def fail(tried: Gate) -> None:
    with pytest.raises(OSError, match="away"), tried.asking():
        raise OSError("away")


@contextmanager
def hanging(tried: Gate, number: int) -> Iterator[None]:
    """So many questions without an answer."""
    done, inside = threading.Event(), threading.Barrier(number + 1)

    def ask() -> None:
        with tried.asking():
            inside.wait(10)
            done.wait(30)

    with ThreadPoolExecutor(number) as pool:
        for _ in range(number):
            pool.submit(ask)
        inside.wait(10)
        try:
            yield
        finally:
            done.set()


def test_while_it_hangs_nobody_else_waits_for_long() -> None:
    tried = Gate(2)
    with hanging(tried, 2):
        began = time.monotonic()
        with pytest.raises(GateClosed), tried.asking():
            pass
        assert time.monotonic() - began < gate.QUICK_SECONDS + 0.5
        began = time.monotonic()
        with pytest.raises(GateClosed), tried.asking():
            pass
        assert time.monotonic() - began < 0.2
    with tried.asking():
        pass


def test_while_it_answers_a_crowd_is_served() -> None:
    tried = Gate(2)

    def ask(_: int) -> bool:
        with tried.asking():
            time.sleep(0.02)
        return True

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(ask, range(40)))


def test_three_failures_in_a_row_and_it_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "PAUSE_SECONDS", 0.3)
    tried = Gate(2)
    fail(tried)
    fail(tried)
    with tried.asking():
        pass
    for _ in range(3):
        fail(tried)
    with pytest.raises(GateClosed), tried.asking():
        pass
    time.sleep(0.35)
    fail(tried)  # asked once more, and left alone again
    with pytest.raises(GateClosed), tried.asking():
        pass
    time.sleep(0.35)
    with tried.asking():
        pass
    fail(tried)
    with tried.asking():
        pass
