"""The cost of open WebSockets: fan-out latency (also with stalled clients), memory, CPU, and requests meanwhile.

    python bench/floors/sockets.py [--sockets 1000] [--events 50] [--json FILE]

A real web process (one worker) with an embedded PostgreSQL and Redis; all clients are in one other process. The floor
is a loop of `send` over as many connections to the same clients, in the same run.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import multiprocessing as mp
import os
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
from flask import Flask

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from factories import make_download, make_user  # noqa: E402
from stack import Stack, eventually, running  # noqa: E402

from api import extensions  # noqa: E402
from api.security.authentication import issue_access_token  # noqa: E402
from api.sockets.peer import text_frame  # noqa: E402
from cli.embedded import EmbeddedPostgres, EmbeddedRedis  # noqa: E402
from config.redis import make_redis  # noqa: E402
from config.settings import Settings  # noqa: E402
from engine.events import Event  # noqa: E402
from engine.identity import sessions  # noqa: E402
from engine.readers import DOWNLOAD  # noqa: E402
from engine.runtime import Runtime  # noqa: E402
from models.migrate import upgrade  # noqa: E402

MARK = b"download:bench"
TIMEOUT = 30.0
REST_SECONDS = 4.0
REST_CLIENTS = 4
STALLED = 10
HANDSHAKE = (
    "GET /ws/media HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Authorization: Bearer {token}\r\n\r\n"
)


def many_files() -> None:
    """Raise RLIMIT_NOFILE to its hard limit, for this process and its children."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def clients(pipe: Connection, port: int, number: int, token: str | None) -> None:
    """The client process: connects, reports that, then reports when the first, middle and last client got each event."""
    many_files()
    selector = selectors.DefaultSelector()
    for _ in range(number):
        client = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        if token is not None:
            client.sendall(HANDSHAKE.format(port=port, token=token).encode())
            received = b""
            while b'"snapshot"' not in received or not received.endswith(b"}"):
                more = client.recv(65536)
                if not more:
                    raise ConnectionError(received.decode(errors="replace"))
                received += more
        client.setblocking(False)
        selector.register(client, selectors.EVENT_READ)
    pipe.send(number)
    arrivals: list[float] = []
    while True:
        for key, _ in selector.select():
            data = key.fileobj.recv(65536)  # type: ignore[union-attr]
            if not data:
                return
            if MARK in data:
                arrivals.append(time.monotonic())
        if len(arrivals) >= number:
            pipe.send((arrivals[0], arrivals[len(arrivals) // 2], arrivals[-1]))
            arrivals.clear()


def bare_server(pipe: Connection, number: int) -> None:
    """The floor: sends the same bytes to the same clients, nothing else."""
    many_files()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        pipe.send(listener.getsockname()[1])
        taken = [listener.accept()[0] for _ in range(number)]
    while pipe.recv():
        wire = text_frame(sample_event())
        pipe.send(time.monotonic())
        for connection in taken:
            connection.send(wire)


def sample_event() -> bytes:
    """A frame of the size of a progress event."""
    return json.dumps({"event": MARK.decode(), "data": {"id": "dl-1", "padding": "x" * 300}}).encode()


@contextlib.contextmanager
def child(target: Any, *args: Any) -> Iterator[Connection]:
    context = mp.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *args), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.kill()
        process.join()
        ours.close()


def receive(pipe: Connection) -> Any:
    if not pipe.poll(TIMEOUT):
        raise TimeoutError("no report from the other process")
    return pipe.recv()


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@dataclass
class Site:
    """The web process, and a signed-in user."""

    stack: Stack
    runtime: Runtime
    user_id: str
    token: str

    @property
    def worker(self) -> psutil.Process:
        [process] = self.stack.pool_children("web")
        return process

    def publish(self, name: str = MARK.decode(), *, size: int = 300, key: str | None = None) -> None:
        data = {"id": "dl-1", "padding": "x" * size}
        passing = key is not None
        self.runtime.publish(Event(name, data, self.user_id, DOWNLOAD, passing=passing, key=key))


@contextlib.contextmanager
def site() -> Iterator[Site]:
    with contextlib.ExitStack() as life:
        folder = Path(life.enter_context(tempfile.TemporaryDirectory(prefix="mn-bench-")))
        folder.chmod(0o755)
        database_url = life.enter_context(EmbeddedPostgres(folder / "pg", durable=False).running())
        redis_url = life.enter_context(EmbeddedRedis(folder / "redis").running())
        upgrade(database_url)
        settings = Settings(
            app_env="development",
            data_dir=folder,
            database_url=database_url,
            redis_url=redis_url,
            secret_key="s" * 48,
        )
        runtime = Runtime(settings, make_redis(settings), lambda job: None)
        life.callback(runtime.database.close)
        with runtime.unit_of_work() as db:
            user = make_user(db)
            for _ in range(20):
                make_download(db, user, status="queued")
            device = sessions.Device(None, None)
            login = sessions.start(db, settings, user, remember_me=False, device=device).login
        app = Flask("tokens")
        extensions.init_app(app, extensions.Parts(runtime, None, print))  # type: ignore[arg-type]
        with app.app_context():
            token = issue_access_token(login.id, user.id)
        stack = life.enter_context(
            running(
                Stack(
                    folder,
                    database_url,
                    redis_url,
                    WEB_THREADS="16",
                    LOG_LEVEL="error",
                    SOCKET_USER_LIMIT="0",
                )
            )
        )
        stack.start_web()
        yield Site(stack, runtime, user.id, token)


def fan_out(pipe: Connection, events: int, send: Any) -> dict[str, float]:
    """Milliseconds from publishing an event until its first, middle and last client received it."""
    rounds: list[tuple[float, ...]] = []
    for _ in range(events):
        begun = send()
        rounds.append(tuple((moment - begun) * 1000 for moment in receive(pipe)))
        time.sleep(0.02)
    first, middle, last = (list(column) for column in zip(*rounds, strict=True))
    return {
        "first_ms": round(statistics.median(first), 2),
        "middle_ms": round(statistics.median(middle), 2),
        "last_ms": round(statistics.median(last), 2),
        "last_p95_ms": round(percentile(last, 0.95), 2),
    }


def measure_floor(number: int, events: int) -> dict[str, float]:
    with child(bare_server, number) as server, child(clients, receive(server), number, None) as pipe:
        receive(pipe)

        def send() -> float:
            server.send(True)
            return float(receive(server))

        return fan_out(pipe, events, send)


def requests_during(site: Site, seconds: float = REST_SECONDS) -> dict[str, float]:
    """Lists of 20 rows by a few keep-alive clients in another process."""
    code = "import sys; from bench.floors.sockets import request_loop; request_loop(*sys.argv[1:])"
    command = [sys.executable, "-c", code, str(site.stack.port), site.token, str(seconds)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=seconds + TIMEOUT)
    return dict(json.loads(answer.stdout))


def request_loop(port: str, token: str, seconds: str) -> None:
    took: list[float] = []

    def request_until_deadline() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=TIMEOUT)
        deadline = time.monotonic() + float(seconds)
        while time.monotonic() < deadline:
            begin = time.monotonic()
            connection.request(
                "GET", "/api/v1/youtube/downloads", headers={"Authorization": f"Bearer {token}"}
            )
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            took.append((time.monotonic() - begin) * 1000)

    threads = [threading.Thread(target=request_until_deadline) for _ in range(REST_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = round(len(took) / float(seconds))
    figures = {"rps": rate, "p50_ms": statistics.median(took), "p99_ms": percentile(took, 0.99)}
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}))


def stalled_clients(site: Site) -> list[socket.socket]:
    """Clients that stop reading after connecting, until all buffers on the way to them are full."""
    stalled = []
    for _ in range(STALLED):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", site.stack.port))
        client.sendall(HANDSHAKE.format(port=site.stack.port, token=site.token).encode())
        client.recv(1024)
        stalled.append(client)
    time.sleep(0.5)
    for _ in range(100):
        site.publish("download:progress", size=10_000, key="dl-1")
        time.sleep(0.005)
    return stalled


def measure_sockets(site: Site, number: int, events: int) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def send() -> float:
        begun = time.monotonic()
        site.publish()
        return begun

    # One client first, so that the relay's threads and imports don't count. RSS, not USS: the latter also grows with
    # copy-on-write of the parent's pages.
    with child(clients, site.stack.port, 1, site.token) as pipe:
        receive(pipe)
        fan_out(pipe, 3, send)
        before = site.worker.memory_info().rss
    with child(clients, site.stack.port, number, site.token) as pipe:
        receive(pipe)
        found["kb_a_socket"] = round((site.worker.memory_info().rss - before) / number / 1024, 1)
        found["threads"] = site.worker.num_threads()
        fan_out(pipe, 5, send)
        begin = sum(site.worker.cpu_times()[:2])
        found["fan_out"] = fan_out(pipe, events, send)
        found["cpu_ms_an_event"] = round((sum(site.worker.cpu_times()[:2]) - begin) / events * 1000, 2)
        begin = sum(site.worker.cpu_times()[:2])
        time.sleep(5)
        found["idle_cpu_percent"] = round((sum(site.worker.cpu_times()[:2]) - begin) / 5 * 100, 2)
        busy = threading.Thread(target=requests_during, args=(site,))
        busy.start()
        time.sleep(1)
        found["fan_out_under_requests"] = fan_out(pipe, min(events, 20), send)
        busy.join()
    stalled = stalled_clients(site)
    with child(clients, site.stack.port, number, site.token) as pipe:
        receive(pipe)
        found[f"fan_out_with_{STALLED}_stalled"] = fan_out(pipe, events, send)
    for client in stalled:
        client.close()
    return found


def measure_requests(site: Site, number: int) -> dict[str, Any]:
    requests_during(site, 1.0)
    found: dict[str, Any] = {"no_sockets": requests_during(site)}
    with child(clients, site.stack.port, number, site.token) as pipe:
        receive(pipe)
        found[f"{number}_sockets"] = requests_during(site)
        stop = threading.Event()
        publisher = threading.Thread(
            target=lambda: [site.publish() for _ in iter(lambda: stop.wait(0.5), True)]
        )
        publisher.start()
        found[f"{number}_sockets_2_events_a_second"] = requests_during(site)
        stop.set()
        publisher.join()
    eventually(lambda: len(site.worker.net_connections()) < number)
    found["no_sockets_again"] = requests_during(site)
    return found


def show(title: str, figures: dict[str, Any]) -> None:
    print(f"\n{title}")
    for name, value in figures.items():
        text = (
            "  ".join(f"{key} {number}" for key, number in value.items())
            if isinstance(value, dict)
            else value
        )
        print(f"  {name.replace('_', ' '):34} {text}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--events", type=int, default=50)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    many_files()
    found: dict[str, Any] = {"sockets": options.sockets, "events": options.events, "cpus": os.cpu_count()}
    found["floor"] = {"fan_out": measure_floor(options.sockets, options.events)}
    show(f"floor: a bare send loop over {options.sockets} connections", found["floor"])
    with site() as place:
        found["relay"] = measure_sockets(place, options.sockets, options.events)
        ratio = found["relay"]["fan_out"]["last_ms"] / found["floor"]["fan_out"]["last_ms"]
        found["relay"]["last_to_floor"] = round(ratio, 2)
        show(f"one event to {options.sockets} sockets of one web process", found["relay"])
        found["requests"] = measure_requests(place, options.sockets // 2)
        show(f"lists of 20 rows by {REST_CLIENTS} clients, of the same process", found["requests"])
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
