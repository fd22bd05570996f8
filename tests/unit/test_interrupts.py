"""A signal never breaks into what is shielded, and is never lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import main
from cli.interrupts import EndedBySignal, heard, shielded


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_it_waits_for_the_end_of_what_is_shielded() -> None:
    done = []
    with heard(), pytest.raises(EndedBySignal) as caught:
        with shielded():
            with shielded():
                os.kill(os.getpid(), signal.SIGTERM)
                done.append("inner")
            done.append("outer")
        done.append("after")
    assert done == ["inner", "outer"]
    assert caught.value.exit_code == 143


def test_it_comes_even_where_something_else_failed_in_there() -> None:
    with heard(), pytest.raises(EndedBySignal), shielded():
        os.kill(os.getpid(), signal.SIGINT)
        raise TimeoutError


def test_one_that_was_swallowed_comes_again() -> None:
    """As in a destructor, where Python drops what is raised."""
    with heard():
        with pytest.raises(EndedBySignal):
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(EndedBySignal), shielded():
            pass


def test_it_may_come_in_the_middle_of_an_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11 makes another error of what is raised in `__set_name__`."""
    (tmp_path / "loading.py").write_text(
        "import os, signal\n"
        "class Named:\n"
        "    def __set_name__(self, owner, name):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "class Owner:\n"
        "    named = Named()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(main.COMMANDS, "loading", ("loading", "loads"))
    assert main.main(["loading"]) == 143


def test_a_second_one_ends_the_process_at_once() -> None:
    child = os.fork()
    if child == 0:
        with heard(), shielded():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130


def test_without_one_everything_is_as_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with heard():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
