"""The client verbs: the real command in processes of its own, against a running server, workers and a video site."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import socket
import stat
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest
import requests
from fakes.video_site import VideoSite
from stack import BIN, PASSWORD, Stack, eventually, running

from cli.embedded import EmbeddedRedis

EMAIL = "ann@example.com"
SIZE = 2_000_000


class Person:
    """Somebody at a terminal, with a home folder of their own."""

    def __init__(self, home: Path, stack: Stack) -> None:
        self.home, self.stack = home, stack
        self.processes: list[subprocess.Popen[str]] = []
        self.file = home / ".config" / "medianest" / "client.json"
        self.env = {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "PYTHONWARNINGS": "error",
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm",
        }

    def start(self, *words: str, **popen: Any) -> subprocess.Popen[str]:
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | popen
        command = [str(BIN / "medianest"), *words]
        process = subprocess.Popen(command, env=self.env, cwd=self.home, text=True, **streams)
        self.processes.append(process)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End what a test that failed has left."""
        for process in self.processes:
            with process:
                process.kill()

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        process = self.start(*words)
        out, err = process.communicate(stdin, timeout=40)
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def said(self, *words: str, stdin: str = "") -> str:
        """What a command prints that works."""
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    def refused(self, *words: str, stdin: str = "", code: int = 1) -> str:
        """The one line of a command that does not."""
        done = self.run(*words, stdin=stdin)
        assert done.returncode == code, done
        assert done.stdout == ""
        *_progress, line = done.stderr.splitlines()
        return line.removeprefix("medianest: ")

    def sign_in(self) -> None:
        login = ("login", "--server", self.stack.url, "--email", EMAIL, "--password-stdin")
        assert self.said(*login, stdin=PASSWORD) == f"Signed in as Ann ({EMAIL}) at {self.stack.url}."

    def saved(self) -> dict[str, str]:
        return dict(json.loads(self.file.read_text()))


class Terminal:
    """A command in a terminal of so many columns; `screen` is all that was written to it."""

    def __init__(self, person: Person, *words: str, columns: int = 100) -> None:
        self._main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = person.start(
            *words,
            stdin=side,
            stdout=side,
            stderr=side,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(side)
        self.screen = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def type(self, text: str, after: str) -> None:
        eventually(lambda: self.screen.endswith(after), what=f"{after!r} is asked: {self.screen!r}")
        os.write(self._main, text.encode())

    def wait(self) -> int:
        code = self.process.wait(40)
        self._reader.join()
        os.close(self._main)
        return code

    def _read(self) -> None:
        with suppress(OSError):  # EIO: the other side is closed
            while data := os.read(self._main, 4096):
                self.screen += data.decode()


@pytest.fixture(scope="module")
def stack(
    short_tmp: Path, module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    with EmbeddedRedis(short_tmp / "client").running() as redis_url:
        folder = tmp_path_factory.mktemp("stack")
        built = Stack(folder, module_database_url, redis_url, DOWNLOAD_ATTEMPTS="2", ACCESS_TOKEN_SECONDS="2")
        with running(built):
            built.start_web()
            built.start_worker()
            yield built


@pytest.fixture(scope="module")
def administrator(stack: Stack) -> str:
    body = {"email": EMAIL, "password": PASSWORD, "name": "Ann"}
    answer = requests.post(f"{stack.url}/api/v1/auth/admin", json=body, timeout=10)
    assert answer.status_code in {201, 409}
    return EMAIL


@pytest.fixture
def stranger(tmp_path: Path, stack: Stack) -> Iterator[Person]:
    """Somebody who has not signed in yet."""
    with Person(tmp_path, stack) as person:
        yield person


@pytest.fixture(scope="module")
def ann(tmp_path_factory: pytest.TempPathFactory, stack: Stack, administrator: str) -> Iterator[Person]:
    """The administrator, who stays signed in."""
    with Person(tmp_path_factory.mktemp("ann"), stack) as person:
        person.sign_in()
        yield person


def ended(stack: Stack, row_id: str, status: str = "completed") -> str:
    """Wait until a download has ended like this; the path of its file."""
    query = "SELECT file ->> 'path' FROM downloads WHERE id = %s AND status = %s"
    return str(eventually(lambda: stack.query(query, row_id, status), what=f"{row_id} is {status}")[0][0])


def test_a_person_sets_up_at_a_terminal(stranger: Person, stack: Stack) -> None:
    server = ("--server", stack.url)
    short = ("setup", *server, "--email", EMAIL, "--name", "Ann", "--password-stdin")
    assert "password: Length must be between 8 and 128." in stranger.refused(*short, stdin="short\n")

    terminal = Terminal(stranger, "setup", *server)
    terminal.type(f"{EMAIL}\n", "E-mail: ")
    terminal.type("Ann\n", "Name: ")
    terminal.type("short\n", "Password: ")
    terminal.type(f"{PASSWORD}\n", "It needs at least 8 characters.\r\nPassword: ")
    terminal.type(f"{PASSWORD}\n", "Again: ")
    assert terminal.wait() == 0, terminal.screen
    assert f"Signed in as Ann ({EMAIL}) at {stack.url}." in terminal.screen
    assert PASSWORD not in terminal.screen
    assert stat.S_IMODE(stranger.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(stranger.file.parent.stat().st_mode) == 0o700
    assert stranger.said("downloads") == "No downloads here.", "the server is remembered"
    assert "exists already" in stranger.refused(*short, stdin=PASSWORD)


def test_signing_in_and_out(stranger: Person, administrator: str, stack: Stack) -> None:
    assert stranger.refused("downloads") == "you are not signed in: medianest login"
    login = ("login", "--server", stack.url, "--password-stdin", "--email", administrator)
    assert stranger.refused(*login, stdin="wrong") == "E-mail address or password is wrong."
    assert not stranger.file.exists()
    assert stranger.refused("login", stdin="x").startswith("--email is missing")
    stranger.sign_in()
    elsewhere = "http://127.0.0.1:9"
    assert stranger.refused("downloads", "--server", elsewhere).startswith("you are not signed in at")
    before = stranger.saved()
    assert stranger.said("logout") == f"Signed out at {stack.url}."
    assert not stranger.file.exists()
    assert stranger.said("logout") == "You are not signed in."
    header = {"Authorization": f"Bearer {before['token']}"}
    assert requests.get(f"{stack.url}/api/v1/auth/session", headers=header, timeout=5).status_code == 401


def test_a_download_is_followed_to_its_file(ann: Person, stack: Stack, video_site: VideoSite) -> None:
    done = ann.run(
        "get", f"{video_site.url}/direct/calm.mp4?size={SIZE}&rate=500000", "--path", "a/b", "--format", "mp4"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "a/b/calm [calm].mp4\n"
    lines = done.stderr.splitlines()
    assert lines[0].split()[:2] == ["waiting", "0%"]
    moving = [line for line in lines if re.search(r"downloading +\d+% +\d\.\d/2\.0 MB .* left  calm$", line)]
    assert moving, lines
    assert len(lines) <= 7, "at most one a second"


def test_the_path_is_whole_where_the_folder_is_at_hand(
    ann: Person, stack: Stack, video_site: VideoSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ann.env, "DOWNLOAD_DIR", str(stack.downloads))
    path = Path(ann.said("get", f"{video_site.url}/page/near"))
    assert path == stack.downloads / "The near film [near].mp4"
    assert path.is_file()


def test_a_terminal_shows_one_moving_line(ann: Person, video_site: VideoSite) -> None:
    terminal = Terminal(ann, "get", f"{video_site.url}/direct/bar.mp4?size={SIZE}&rate=2000000", columns=90)
    assert terminal.wait() == 0, terminal.screen
    *frames, path, rest = re.split(r"\r\x1b\[K|\r\n", terminal.screen)
    assert (path, rest) == ("bar [bar].mp4", "")
    shown = [frame for frame in frames if frame]
    assert max(map(len, shown)) < 90
    assert any(
        re.fullmatch(r"bar +━+─+ +\d+%  \d\.\d/2\.0 MB  \d\.\d MB/s  \ds left  downloading *", frame)
        for frame in shown
    ), shown
    assert re.fullmatch(r"bar +━+ 100%  2\.0 MB  completed *", shown[-1])


def test_a_failure_is_told_in_words(ann: Person, video_site: VideoSite) -> None:
    line = ann.refused("get", f"{video_site.url}/text/nothing")
    assert line.startswith("No video was found at this address. Give the address of the page")
    process = ann.start("get", f"{video_site.url}/direct/broken.mp4?status=503")
    assert process.stderr is not None
    assert any(line.startswith("Attempt 1 failed: ") for line in iter(process.stderr.readline, ""))
    ann.said("get", "--no-wait", f"{video_site.url}/page/bell")  # wakes a worker before the reconciler would
    _, err = process.communicate(timeout=40)
    assert process.returncode == 1
    assert re.search(r"^medianest: .+ To try again: medianest retry dl-\w+$", err.splitlines()[-1])


def test_what_is_not_accepted_is_named_by_field(ann: Person, video_site: VideoSite) -> None:
    assert "url: Downloads from evil.example are not allowed." in ann.refused("get", "https://evil.example/")
    assert "quality: Must be one of: best," in ann.refused("get", video_site.url, "--quality", "9p")
    assert "downloadPath: Must be a folder" in ann.refused("get", video_site.url, "--path", "../x")
    assert "status: Must be one of: queued," in ann.refused("downloads", "--status", "lost")
    assert ann.refused("cancel", "dl-none") == "There is no such download."


def test_stopping_to_follow_does_not_stop_the_download(
    ann: Person, stack: Stack, video_site: VideoSite
) -> None:
    url = f"{video_site.url}/direct/goes-on.mp4?size={SIZE}&gate=goes-on&after=500000&skip=1"
    process = ann.start("get", url)
    video_site.gate("goes-on").wait_held(20)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=40)
    assert process.returncode == 130
    found = re.search(r"The download goes on\..*\nTo cancel it: medianest cancel (dl-\w+)\n$", err)
    assert found, err
    row_id = found[1]
    assert stack.query("SELECT status FROM downloads WHERE id = %s", row_id) == [("downloading",)]
    assert "it is still active" in ann.refused("remove", row_id)

    again = ann.start("get", url)
    assert ann.said("cancel", row_id) == "Being cancelled: it stops within seconds."
    _, err = again.communicate(timeout=40)
    assert again.returncode == 1
    assert err.endswith("medianest: the download was cancelled\n")
    assert "it has ended already" in ann.refused("cancel", row_id)
    video_site.release("goes-on")

    assert ann.said("retry", row_id).startswith("Queued again")
    ended(stack, row_id)
    assert "completed" in ann.refused("retry", row_id)


def test_no_wait_then_list_then_remove(ann: Person, stack: Stack, video_site: VideoSite) -> None:
    ids = [ann.said("get", "--no-wait", f"{video_site.url}/page/{name}") for name in ("kept", "gone")]
    paths = [ended(stack, row_id) for row_id in ids]
    head, *rows = ann.said("downloads", "--status", "completed").splitlines()
    assert head.split() == ["ID", "STATUS", "DONE", "SIZE", "ADDED", "TITLE"]
    shown = {row.split()[0]: row for row in rows}
    assert set(ids) <= set(shown)
    assert re.search(r"  completed  100%  .*  The kept film$", shown[ids[0]])
    assert ann.said("remove", ids[0]) == f"Removed; the file stays: {paths[0]}"
    assert ann.said("remove", ids[1], "--delete-file") == f"Removed; the file goes too: {paths[1]}"
    eventually(lambda: not (stack.downloads / paths[1]).exists())
    assert (stack.downloads / paths[0]).exists()
    assert not set(ids) & {row.split()[0] for row in ann.said("downloads").splitlines()}
    assert "No downloads here." in ann.said("downloads", "--page", "9")


def test_a_restart_of_the_server_is_survived(ann: Person, stack: Stack, video_site: VideoSite) -> None:
    process = ann.start(
        "get", f"{video_site.url}/direct/lasting.mp4?size={SIZE}&gate=lasting&after=500000&skip=1"
    )
    video_site.gate("lasting").wait_held(20)
    stack.kill_group("web")
    assert process.stderr is not None
    assert any("Connection lost" in line for line in iter(process.stderr.readline, ""))
    stack.start_web()
    video_site.release("lasting")
    out, err = process.communicate(timeout=40)
    assert (process.returncode, out) == (0, "lasting [lasting].mp4\n"), err
    assert "Connected again." in err


def test_an_expired_token_is_renewed_by_one_of_many(
    stranger: Person, administrator: str, stack: Stack
) -> None:
    stranger.sign_in()
    before = stranger.saved()
    header = {"Authorization": f"Bearer {before['token']}"}
    eventually(
        lambda: requests.get(f"{stack.url}/api/v1/auth/session", headers=header, timeout=5).status_code == 401
    )
    processes = [stranger.start("downloads") for _ in range(3)]
    for process in processes:
        _, err = process.communicate(timeout=40)
        assert process.returncode == 0, err
    after = stranger.saved()
    assert after["refresh_token"] != before["refresh_token"]
    assert list(stranger.file.parent.iterdir()) == [stranger.file], "no half-written file is left"


def test_a_session_that_was_ended_says_so(stranger: Person, administrator: str, stack: Stack) -> None:
    stranger.sign_in()
    header = {"Authorization": f"Bearer {stranger.saved()['token']}"}
    requests.post(f"{stack.url}/api/v1/auth/logout", headers=header, timeout=5)
    assert (
        stranger.refused("downloads")
        == f"your session at {stack.url} is over: sign in with `medianest login`"
    )
    assert stranger.said("logout") == f"Signed out at {stack.url}."


def test_a_server_that_is_not_there_says_how_to_start_it(stranger: Person) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        login = ("login", "--email", EMAIL, "--password-stdin", "--server", url)
        line = stranger.refused(*login, stdin="x")
    assert line.startswith(
        f"no MediaNest answers at {url} (Connection refused): start it with `medianest up`"
    )
    assert "is not a URL such as" in stranger.refused("login", "--server", "localhost:4000", code=2)


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[str]:
    """The URL of a server that gives everybody this answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


LIMITED = (
    b'{"success": false, "error": {"code": "RATE_LIMIT_EXCEEDED", "message": "Too many.", "details": null}}'
)


@pytest.mark.parametrize(
    ("status", "body", "headers", "said"),
    [
        (429, LIMITED, {"Retry_After": "12"}, "Too many. Try again in 12 s."),
        (200, b"<html>", {}, "what answers at {url} is not MediaNest"),
        (502, b"<html>\x1b[2J", {}, "{url} answers 502 Bad Gateway"),
        (
            301,
            b"",
            {"Location": "https://x.example/"},
            "{url} points to https://x.example/: name that server",
        ),
    ],
)
def test_other_answers_are_told_in_a_line(
    stranger: Person, status: int, body: bytes, headers: dict[str, str], said: str
) -> None:
    with answering(status, body, **headers) as url:
        login = ("login", "--email", EMAIL, "--password-stdin", "--server", url)
        assert stranger.refused(*login, stdin="x").startswith(said.format(url=url))


def test_a_terminal_is_safe_from_titles(
    ann: Person, stack: Stack, video_site: VideoSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    row_id = ann.said("get", "--no-wait", f"{video_site.url}/page/evil")
    ended(stack, row_id)
    stack.query("UPDATE downloads SET title = %s WHERE id = %s", "a\x1b[2Jb\rc\u202ed", row_id)
    assert "a [2Jb c d" in ann.said("downloads")
    monkeypatch.setitem(ann.env, "PYTHONIOENCODING", "latin-1")
    stack.query("UPDATE downloads SET title = %s WHERE id = %s", "夜", row_id)
    assert "\\u591c" in ann.said("downloads")
