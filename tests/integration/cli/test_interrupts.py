"""Commands that are told to end, by Ctrl-C, by the system, or because nobody reads what they say."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fakes.chatty_server import ChattyServer
from stack import BIN, ROOT, eventually

GOES_ON = "The download goes on."
PATIENCE = 30  # seconds, on a machine that is busy


@pytest.fixture
def server() -> Iterator[ChattyServer]:
    with ChattyServer() as served:
        yield served


@pytest.fixture
def home(tmp_path: Path, server: ChattyServer) -> Path:
    """The home of somebody who is signed in at a server that never pauses."""
    file = tmp_path / ".config" / "medianest" / "client.json"
    file.parent.mkdir(parents=True)
    login = {"server": server.url, "email": "a@example.com", "token": "t", "refresh_token": "r"}
    file.write_text(json.dumps(login))
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "LC_ALL": "C.UTF-8",
        "PYTHONWARNINGS": "error::DeprecationWarning",
    }


def started(home: Path, *words: str, **popen: object) -> subprocess.Popen[str]:
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | popen
    command = [str(BIN / "medianest"), *words]
    return subprocess.Popen(command, env=environment(home), cwd=home, text=True, **streams)  # type: ignore[call-overload, no-any-return]


@contextmanager
def burning(cores: int) -> Iterator[None]:
    """Let others use the processor meanwhile."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        yield
    finally:
        for each in others:
            each.kill()
            each.wait()


def interrupt_at_random(home: Path, server: ChattyServer, times: int) -> None:
    """Each time another moment: half of them from the start on, half while the server tells of progress."""
    chance = random.Random(times)
    with (home / "said").open("w+") as said:
        client = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "fakes" / "forking_client.py")],
            env=environment(home), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True,
        )  # fmt: skip
        assert client.stdin is not None
        assert client.stdout is not None
        with client:
            try:
                for number in range(times):
                    print("get https://x.example/1", file=client.stdin, flush=True)
                    listeners, child = server.listeners, int(client.stdout.readline())
                    if number % 2:
                        eventually(lambda before=listeners: server.listeners > before, PATIENCE)
                    time.sleep(chance.random() * 0.1)
                    began = time.monotonic()
                    os.kill(child, chance.choice([signal.SIGINT, signal.SIGTERM]))
                    code = client.stdout.readline().strip()
                    assert code in {"130", "143", "-2", "-15"}, f"{number}: {code}"
                    assert time.monotonic() - began < PATIENCE
                client.stdin.close()
                client.wait(PATIENCE)
            finally:
                client.kill()  # or a failure would wait for it without an end
        said.seek(0)
        assert GOES_ON in said.read()


def test_whenever_it_comes_following_ends(home: Path, server: ChattyServer) -> None:
    interrupt_at_random(home, server, 10)


@pytest.mark.long
@pytest.mark.timeout(900)  # the burners take two cores from it, and the machine may be slow
def test_nor_does_a_busy_machine_keep_it(home: Path, server: ChattyServer) -> None:
    with burning(2):
        interrupt_at_random(home, server, 60)


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_following_ends_in_words(home: Path, signum: signal.Signals, code: int) -> None:
    process = started(home, "get", "https://x.example/1")
    assert process.stderr is not None
    assert "downloading" in process.stderr.readline()
    process.send_signal(signum)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert (
        f"{GOES_ON} While it does, the same command follows it again.\nTo cancel it: medianest cancel dl-1\n"
        in err
    )
    assert "Traceback" not in err


def test_what_is_to_be_ignored_is(home: Path) -> None:
    """As `nohup` asks."""
    process = started(
        home, "get", "https://x.example/1", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    assert process.stderr is not None
    process.stderr.readline()
    process.send_signal(signal.SIGHUP)
    assert "downloading" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130


@pytest.mark.parametrize("words", [("get", "https://x.example/1"), ("--help",), ("doctor",)])
def test_who_reads_no_more_ends_it_without_a_trace(home: Path, words: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    process = started(home, *words, stdout=writing, stderr=writing)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    assert process.wait(PATIENCE) in {0, 1, 2, 141}


def test_a_full_disk_is_told(home: Path) -> None:
    with Path("/dev/full").open("w") as full:
        process = started(home, "get", "--no-wait", "https://x.example/1", stdout=full)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert err == "medianest: what there is to say can't be written: No space left on device\n"


def test_a_backup_that_is_told_to_end_leaves_nothing(home: Path, database_url: str) -> None:
    """Neither half a file nor a copy of the secret key."""
    before = set(home.iterdir())
    env = environment(home) | {"DATABASE_URL": database_url.replace("+psycopg", ""), "SECRET_KEY": "k" * 40}
    process = subprocess.Popen(
        [str(BIN / "medianest"), "backup", "kept.tar"], env=env, cwd=home, text=True, stderr=subprocess.PIPE
    )
    eventually(lambda: process.poll() is not None or set(home.iterdir()) - before)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode in {0, 143}
    assert "Traceback" not in err
    assert {path.name for path in set(home.iterdir()) - before} <= {"kept.tar"}
