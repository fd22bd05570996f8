"""`medianest up` as a person meets it: start, kill anything, stop; with a small Procfile of its own."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
import requests
from stack import ROOT, free_port
from supervised import ELSEWHERE, PROCFILE, Up, maker_of_ups

from cli.embedded import EmbeddedRedis
from cli.processes import wait_until

STUBBORN = (
    "stubborn: python -c 'import signal, time; signal.signal(15, 1); print(\"deaf\"); time.sleep(300)'\n"
)


@pytest.fixture
def make_up() -> Iterator[Callable[..., Up]]:
    with maker_of_ups(Up) as make:
        yield make


def test_it_says_what_comes_first_and_leaves_nothing(make_up: Callable[..., Up]) -> None:
    up = make_up()
    process = up.start()
    said = up.said()
    assert "released hello" in said
    assert "is ready after" in said
    assert f"http://127.0.0.1:{up.port}" in said
    assert f"First time? Open http://127.0.0.1:{up.port}/welcome" in said
    assert re.search(r"^web +\| database: postgresql\+psycopg://.* redis: unix://", said, re.MULTILINE)
    assert "\033" not in said

    again = up.start(ready=False)
    assert again.wait(10) == 1
    assert up.said().splitlines() == [
        f"medianest: MediaNest already runs on {up.folder}/data; stop it first: kill {process.pid}"
    ]
    other = up.start(ready=False, DATA_DIR=str(up.folder / "other"))
    assert other.wait(10) == 1
    assert len(up.said().splitlines()) == 1
    assert f"port {up.port} on 127.0.0.1 is taken" in up.said()

    began = time.monotonic()
    process.terminate()
    assert process.wait(10) == 0
    assert up.running() == []

    began = time.monotonic()
    up.start()
    assert time.monotonic() - began < 8


def test_whatever_is_killed_is_started_again(make_up: Callable[..., Up]) -> None:
    up = make_up()
    process = up.start()
    children = psutil.Process(process.pid).children()
    assert len(children) == 4
    for child in children:
        child.kill()
    wanted = [
        "postgres answers again",
        "redis answers again",
        "web was killed by SIGKILL",
        "worker was killed by",
    ]
    assert wait_until(lambda: all(line in up.said() for line in wanted), 20), up.said()
    assert wait_until(lambda: up.said().count("database: ") == 2, 10)
    # What the dead worker had put into the background went with it.
    assert wait_until(lambda: len(up.running("sleep 300")) == 3, 5)
    process.terminate()
    assert process.wait(10) == 0
    assert up.running() == []


def test_the_pause_before_a_restart_grows(make_up: Callable[..., Up]) -> None:
    up = make_up(PROCFILE + "broken: false\n")
    up.start(**ELSEWHERE)
    assert wait_until(lambda: "starting it again in 0.8 s" in up.said(), 10)
    assert re.findall(r"broken ended with code 1; starting it again in (\S+) s", up.said())[:3] == [
        "0.2",
        "0.4",
        "0.8",
    ]


@pytest.mark.long
def test_a_killed_supervisor_takes_its_children_along_and_the_next_cleans_up(
    make_up: Callable[..., Up],
) -> None:
    up = make_up(PROCFILE + STUBBORN)
    process = up.start()
    assert wait_until(lambda: "deaf" in up.said(), 10)
    process.kill()
    process.wait()
    assert wait_until(lambda: not up.running("postgres") and not up.running("redis-server"), 10)
    assert wait_until(lambda: not up.running("web.py"), 5)
    left = up.running("signal.signal")
    assert len(left) == 1
    process = up.start()
    assert "that an earlier run had left" in up.said()
    assert not left[0].is_running()

    # It is deaf to the first Ctrl-C; a second one does not wait.
    assert wait_until(lambda: "deaf" in up.said(), 10)
    process.send_signal(signal.SIGINT)
    assert wait_until(lambda: "stopping" in up.said(), 5)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert time.monotonic() - began < 3
    assert up.running() == []


@pytest.mark.long
def test_a_frozen_server_of_an_earlier_run_is_ended_before_its_successor_starts(
    make_up: Callable[..., Up],
) -> None:
    up = make_up()
    process = up.start()
    frozen = up.servers()
    assert {each.name() for each in frozen} == {"postgres", "redis-server"}
    for each in frozen:
        each.suspend()
    process.kill()
    process.wait()
    assert wait_until(lambda: not up.running("web.py"), 5)

    up.start()
    ended = re.search(r"ended (\d+) processes that an earlier run had left", up.said())
    assert ended is not None
    assert int(ended[1]) >= len(frozen)
    assert not any(each.is_running() for each in frozen)
    assert [each.name() for each in up.servers()].count("redis-server") == 1


@pytest.mark.long
def test_the_real_processes_end_without_supervisor_and_redis_and_come_again(
    make_up: Callable[..., Up],
) -> None:
    procfile = (ROOT / "Procfile").read_text().replace("{", "{{").replace("}", "}}")
    up = make_up(procfile)
    with EmbeddedRedis(up.folder / "r").running() as redis_url:
        empty = dict.fromkeys(
            (
                "WEB_CONCURRENCY",
                "WEB_THREADS",
                "DOWNLOAD_CONCURRENCY",
                "PREVIEW_CONCURRENCY",
                "WORKER_CONCURRENCY",
            ),
            "",
        )
        process = up.start(REDIS_URL=redis_url, FLOWER_PORT=str(free_port()), **empty)
        assert wait_until(lambda: "beat.ready" in up.said() and "flower.ready" in up.said(), 20)
        assert f"First time? Open http://127.0.0.1:{up.port}/welcome" in up.said()
        admin = {"email": "admin@medianest.com", "password": "correct horse battery", "name": "Admin"}
        address = f"http://127.0.0.1:{up.port}/api/v1/auth/admin"
        assert requests.post(address, json=admin, timeout=10).status_code == 201
    commands = " ".join(word for each in up.running() for word in each.cmdline())
    assert all(name in commands for name in ("gunicorn", "-m tasks", "-m schedules", "flower", "postgres"))
    process.kill()
    process.wait()
    assert wait_until(lambda: not up.running(), 10), up.running()

    up.start()
    assert "First time?" not in up.said(), "there is an administrator by now"


@pytest.mark.long
def test_what_does_not_end_is_killed_within_ten_seconds(make_up: Callable[..., Up]) -> None:
    up = make_up(PROCFILE + STUBBORN)
    process = up.start(**ELSEWHERE)
    assert wait_until(lambda: "deaf" in up.said(), 10)
    began = time.monotonic()
    process.terminate()
    assert process.wait(15) == 0
    assert time.monotonic() - began < 10
    assert up.running() == []


@pytest.mark.parametrize(
    ("procfile", "variables", "code", "line"),
    [
        ("release: exit 3\nweb: sleep 9\n", {}, 1, "the release step failed: exit 3"),
        ("web sleep 9\n", {}, 1, "line 1: not a new `name: command`"),
        (PROCFILE, {"PORT": "many"}, 2, "PORT takes a whole number from 1 to 65535, not 'many'"),
    ],
)
def test_what_cannot_work_ends_with_a_line(
    make_up: Callable[..., Up], procfile: str, variables: dict[str, str], code: int, line: str
) -> None:
    up = make_up(procfile)
    process = up.start(ready=False, **(ELSEWHERE | variables))
    assert process.wait(20) == code
    assert line in up.said().splitlines()[-1]
    assert up.running() == []
