"""The lines of a Procfile that `medianest up` forks from one preloaded process, as a person and as they meet it."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from supervised import ELSEWHERE, PROCFILE, Up, maker_of_ups

from cli.processes import wait_until

# Tells what it finds itself to be, then waits.
PROBE = """
import gc, json, os, random, secrets, signal, sys, threading
from billiard.common import REMAP_SIGTERM
from config.settings import Settings
from models.base import new_id
import engine.downloads.work

print(json.dumps({
    "name": __name__,
    "words": sys.argv[1:],
    "colour": os.environ.get("COLOUR"),
    "remapped": REMAP_SIGTERM,
    "web": Settings.of_process().web_processes,
    "greeting": os.environ["GREETING"],
    "files": {int(each): os.readlink(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd")
              if os.path.exists(f"/proc/self/fd/{each}")},
    "pid": os.getpid(), "parent": os.getppid(), "session": os.getsid(0), "group": os.getpgid(0),
    "threads": threading.active_count(),
    "collects": gc.isenabled(),
    "ends": signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
    "random": [random.random(), secrets.token_hex(8), os.urandom(8).hex()],
    "id": new_id("probe"),
}))
if "fail" in sys.argv:
    sys.exit(7)
signal.pause()
"""
LAST_WORD = """
import os, signal, sys, time, redis

def end(*_):
    until = time.monotonic() + 1  # longer than Redis takes to end
    while time.monotonic() < until:
        redis.Redis.from_url(os.environ["REDIS_URL"]).ping()
        time.sleep(0.02)
    sys.exit("redis still answers")

signal.signal(signal.SIGTERM, end)
print("listens")
signal.pause()
"""
FORKED = (
    PROCFILE
    + 'one: env COLOUR=red REMAP_SIGTERM=SIGQUIT WEB_CONCURRENCY=${{WEBS:-7}} python -m probe $((1 + 2)) "two words" $GREETING\n'
)
TWO = FORKED + "two: python -m probe\n"
ALONE = "without the preloaded process"


class Forking(Up):
    """A `medianest up` whose Procfile runs our modules."""

    def __init__(self, folder: Path, procfile: str) -> None:
        super().__init__(folder, procfile)
        (folder / "probe.py").write_text(PROBE)
        (folder / "last_word.py").write_text(LAST_WORD)

    def begin(self, **variables: str) -> psutil.Process:
        return psutil.Process(self.start(PYTHONPATH=str(self.folder), **variables).pid)

    def told(self, name: str) -> list[dict[str, Any]]:
        """What each start of process `name` has told."""
        return [json.loads(line) for line in re.findall(rf"^{name} +\| ({{.*}})$", self.said(), re.MULTILINE)]

    def tells(self, name: str, times: int = 1) -> dict[str, Any]:
        assert wait_until(lambda: len(self.told(name)) >= times, 30), self.said()
        return self.told(name)[times - 1]

    def preload(self) -> psutil.Process:
        found = self.running("cli.supervision.fork_server")
        assert len(found) == 1
        return found[0]


@pytest.fixture
def make_up() -> Iterator[Callable[..., Forking]]:
    with maker_of_ups(Forking) as make:
        yield make


def pss(process: psutil.Process) -> int:
    return int(process.memory_full_info().pss)


def test_what_is_loaded_is_shared(make_up: Callable[..., Forking]) -> None:
    up = make_up(TWO + "three: python -m probe\n")
    up.begin(**ELSEWHERE)
    pids = [up.tells(name)["pid"] for name in ("one", "two", "three")]
    all_of_them = [up.preload(), *map(psutil.Process, pids)]
    assert all_of_them[0].num_threads() == 1
    shares, sizes = sum(map(pss, all_of_them)), sum(each.memory_info().rss for each in all_of_them)
    assert shares < sizes * 0.5, (shares, sizes)


def test_each_is_what_python_would_have_started(make_up: Callable[..., Forking]) -> None:
    up = make_up(TWO)
    supervisor = up.begin(**ELSEWHERE)
    one, two = up.tells("one"), up.tells("two")
    assert one["words"] == ["3", "two words", "hello"]
    assert two["words"] == []
    assert (one["colour"], two["colour"]) == ("red", None)
    # Read when billiard is imported, and when the settings are first asked for.
    assert (one["remapped"], two["remapped"]) == ("SIGQUIT", None)
    assert (one["web"], two["web"]) == (7, 2)
    for told in (one, two):
        assert told["name"] == "__main__"
        assert told["greeting"] == "hello"
        assert sorted(told["files"]) == ["0", "1", "2"]
        assert told["files"]["0"] == "/dev/null"
        assert told["files"]["1"] == told["files"]["2"]
        assert told["pid"] == told["session"] == told["group"]
        assert told["parent"] == supervisor.pid
        assert (told["threads"], told["collects"], told["ends"]) == (1, True, True)
    assert one["files"]["1"] != two["files"]["1"]
    assert one["id"] != two["id"]
    assert not set(one["random"]) & set(two["random"])
    # What operators see, and what finds a process that a killed supervisor has left.
    assert [each.pid for each in up.running("python -m probe 3 two words hello")] == [one["pid"]]
    assert psutil.Process(two["pid"]).cmdline() == ["python", "-m", "probe"]
    assert up.preload().cmdline() == ["python", "-m", "cli.supervision.fork_server"]


def test_what_ends_is_forked_again_and_its_code_is_told(make_up: Callable[..., Forking]) -> None:
    up = make_up(TWO + "three: python -m probe fail\n")
    supervisor = up.begin(**ELSEWHERE)
    first = up.tells("one")
    psutil.Process(first["pid"]).kill()
    again = up.tells("one", times=2)
    assert again["random"][0] != first["random"][0]
    assert again["id"] != first["id"]
    assert "one was killed by SIGKILL" in up.said()
    assert wait_until(lambda: "three ended with code 7" in up.said(), 10)
    assert ALONE not in up.said()
    supervisor.terminate()
    assert up.started[-1].wait(10) == 0
    assert up.running() == []


def test_a_release_step_is_forked_too_and_its_code_counts(make_up: Callable[..., Forking]) -> None:
    up = make_up("release: python -m probe fail\nweb: sleep 9\n")
    assert up.start(ready=False, PYTHONPATH=str(up.folder), **ELSEWHERE).wait(30) == 1
    assert up.told("release")[0]["words"] == ["fail"]
    assert "the release step failed: python -m probe fail" in up.said()
    assert up.running() == []


@pytest.mark.parametrize("how", [pytest.param(signal.SIGKILL, marks=pytest.mark.long), signal.SIGSTOP])
def test_without_the_preloaded_process_the_others_go_on(
    make_up: Callable[..., Forking], how: signal.Signals
) -> None:
    up = make_up(TWO)
    up.begin(**ELSEWHERE)
    one, two = (psutil.Process(up.tells(name)["pid"]) for name in ("one", "two"))
    lost = up.preload()
    lost.send_signal(how)
    one.kill()
    alone = up.tells("one", times=2)
    assert alone["words"] == ["3", "two words", "hello"]
    assert up.said().count(f"one is started {ALONE}") == 1
    assert two.is_running()
    assert wait_until(lambda: "preload was killed by SIGKILL; starting it again" in up.said(), 10)

    # The next one has loaded everything when it can share it.
    assert wait_until(lambda: up.running("fork_server") != [] and up.preload() != lost, 10)
    assert wait_until(lambda: up.preload().memory_info().rss > 60_000_000, 30)
    for times in range(3, 10):
        before = up.said().count(ALONE)
        psutil.Process(up.told("one")[-1]["pid"]).kill()
        up.tells("one", times=times)
        if up.said().count(ALONE) == before:
            break
    else:
        raise AssertionError(up.said())


def test_a_killed_supervisor_takes_all_of_them_along(make_up: Callable[..., Forking]) -> None:
    up = make_up(TWO)
    supervisor = up.begin(**ELSEWHERE)
    known = {up.preload().pid, up.tells("one")["pid"], up.tells("two")["pid"]}
    assert known <= {each.pid for each in up.running()}
    supervisor.kill()
    up.started[-1].wait()
    assert wait_until(lambda: not known & {each.pid for each in up.running()}, 10)


def test_databases_end_after_what_was_forked(make_up: Callable[..., Forking]) -> None:
    up = make_up(PROCFILE + "last: python -m last_word\n")
    supervisor = up.begin(DATABASE_URL=ELSEWHERE["DATABASE_URL"])
    assert wait_until(lambda: re.search(r"^last +\| listens$", up.said(), re.MULTILINE) is not None, 30)
    supervisor.terminate()
    assert up.started[-1].wait(10) == 0
    assert re.search(r"^last +\| redis still answers$", up.said(), re.MULTILINE)


def test_a_line_that_is_more_than_a_module_is_left_to_the_shell(make_up: Callable[..., Forking]) -> None:
    lines = (
        "python -m probe; sleep 300",
        "python -m probe | cat",
        "python -m probe $(echo fail)",
        "env -u GREETING python -m probe",
        "python {folder}/probe.py",
    )
    up = make_up(PROCFILE + "".join(f"other{number}: {line}\n" for number, line in enumerate(lines)))
    up.begin(**ELSEWHERE)
    assert up.running("fork_server") == []
    assert ALONE not in up.said()
