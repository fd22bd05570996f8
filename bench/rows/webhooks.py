"""Webhooks of Plex with their thumbnails: accepted per second, latency of the answers, and rate of the jobs.

python -m bench.rows.webhooks PORT CLIENTS SECONDS   (path on standard input, JSON on standard output)
"""

from __future__ import annotations

import itertools
import json
import secrets
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import orjson

from bench.floors.keepalive import KeepAliveClient
from bench.installation import created_admin, installation, services, start_bare_web
from bench.report import Figure, Target, percentile
from tests.stack import ROOT, Stack, eventually

CLIENTS = 8
PICTURE = bytes(20_000)
LINE = "------------------------4d7a5b3c2e1f0a99"
ITEM = {
    "librarySectionType": "show", "type": "episode", "title": "The World's Strongest Senior",
    "grandparentTitle": "Baki Hanma", "index": 1, "parentIndex": 1, "duration": 1_500_000, "viewOffset": 60_000,
    "summary": "The world is shaken by news. " * 40, "Guid": [{"id": "imdb://tt14765720"}] * 10,
}  # fmt: skip


def run(quick: bool) -> Iterator[Figure]:
    """The product and the floor in turns; then the worker handles the stored messages."""
    rounds, seconds, most = (1, 0.5, 100) if quick else (5, 2.0, 2_000)
    with services() as found, installation(found) as stack:
        stack.start_web()
        client = created_admin(stack)[0]
        url = client.call("POST", "/admin/webhooks/senders/plex/rotate").json()["data"]["url"]
        targets = {stack.port: "/api/v1/" + url.partition("/api/v1/")[2], start_bare_web(stack): "/webhook"}
        for port, path in targets.items():
            _load(port, path, 0.5)
        results = {port: list[dict[str, float]]() for port in targets}
        for _ in range(rounds):
            for port, path in targets.items():
                results[port].append(_load(port, path, seconds))
        ours, bare = (
            {key: statistics.median(each[key] for each in results[port]) for key in ("rps", "p50", "p99")}
            for port in targets
        )
        what = f"webhooks taken in, {CLIENTS} clients"
        yield Figure("webhooks", what, ours["rps"], "rps", bare["rps"], more_is_better=True)
        yield Figure("webhooks", "one such answer, p50", ours["p50"], "ms", bare["p50"])
        yield Figure("webhooks", "one such answer, p99", ours["p99"], "ms", bare["p99"])
        alone, floor = (_load(port, path, seconds, clients=1) for port, path in targets.items())
        yield Figure("webhooks", "an answer to a single sender, p50", alone["p50"], "ms", floor["p50"])
        yield Figure(
            "webhooks", "an answer to a single sender, p99", alone["p99"], "ms", floor["p99"], Target(50)
        )
        yield _worked_off(stack, most)


def _worked_off(stack: Stack, most: int) -> Figure:
    """How many stored messages per second the maintenance worker handles."""
    stack.query("DELETE FROM webhooks WHERE digest = substr(id, 4)")  # those of the floor
    kept = "SELECT id FROM webhooks ORDER BY id LIMIT %s"
    stack.query(f"DELETE FROM webhooks WHERE id NOT IN ({kept})", most)
    done = "SELECT count(*), extract(epoch FROM max(ended_at) - min(started_at)) FROM webhooks WHERE ended_at IS NOT NULL"
    waiting = stack.query("SELECT count(*) FROM webhooks")[0][0]
    stack.start_maintenance()
    eventually(lambda: stack.query(done)[0][0] == waiting, 120, what="all are worked on")
    rate = waiting / float(stack.query(done)[0][1])
    return Figure("webhooks", f"{waiting:,} that wait, worked off", rate, "rps", more_is_better=True)


def _load(port: int, path: str, seconds: float, clients: int = CLIENTS) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.rows.webhooks", str(port), str(clients), str(seconds)]
    done = subprocess.run(command, input=path, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
    return dict(json.loads(done.stdout))


def _messages(port: int, path: str) -> Iterator[bytes]:
    """Complete HTTP requests, each with a distinct message."""
    salt = secrets.token_hex(4)
    for number in itertools.count():
        payload = {
            "event": "media.pause",
            "Account": {"id": number, "title": salt},
            "Server": {"title": "Office", "uuid": "54664a3d8acc39983675640ec9ce00b70af9cc36"},
            "Player": {"title": "Chrome", "local": True},
            "Metadata": {**ITEM, "ratingKey": str(number)},
        }
        body = b"".join(
            (
                f'--{LINE}\r\nContent-Disposition: form-data; name="payload"\r\nContent-Type: application/json\r\n\r\n'.encode(),
                orjson.dumps(payload),
                f'\r\n--{LINE}\r\nContent-Disposition: form-data; name="thumb"; filename="thumb.jpg"\r\n'.encode(),
                b"Content-Type: image/jpeg\r\n\r\n" + PICTURE,
                f"\r\n--{LINE}--\r\n".encode(),
            )
        )
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n"
            f"Content-Type: multipart/form-data; boundary={LINE}\r\n\r\n"
        )
        yield head.encode() + body


def _flood(port: int, path: str, clients: int, seconds: float) -> dict[str, float]:
    messages = _messages(port, path)
    selector = selectors.DefaultSelector()
    for _ in range(clients):
        client = KeepAliveClient(socket.create_connection(("127.0.0.1", port)), next(messages))
        client.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(client.connection, selectors.EVENT_READ, client)
        client.send()
    took: list[float] = []
    began = time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        for key, _ in selector.select(1.0):
            if key.data.receive():
                took.append((time.perf_counter() - key.data.began) * 1000)
                key.data.request = next(messages)
                key.data.send()
    return {"rps": len(took) / (now - began), "p50": percentile(took, 0.5), "p99": percentile(took, 0.99)}


if __name__ == "__main__":
    number, clients, seconds = sys.argv[1:]
    print(json.dumps(_flood(int(number), sys.stdin.read().strip(), int(clients), float(seconds))))
