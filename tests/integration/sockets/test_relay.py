"""Live events over real web processes: who gets what, in which order, and what a bad client can do to others."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import requests
import websocket
from factories import make_download
from house import House, farewell, hear, hear_until
from sqlalchemy import func
from stack import eventually

from api.sockets import loop as socket_loop
from api.sockets import peer as socket_peer
from api.sockets.loop import SocketLoop
from api.sockets.peer import PING, Audience, Frame, Peer, text_frame
from engine.downloads.events import announce
from engine.identity import sessions
from engine.plex.sync import runs as sync
from models.base import new_id
from models.download import Download
from models.user import User


def test_snapshot_comes_first_then_changes(house: House) -> None:
    ann = house.person()
    with house.runtime.unit_of_work() as db:
        user = db.get_one(User, ann.id)
        active = make_download(db, user, status="downloading", progress=41.5)
        ended = make_download(db, user, status="failed", ended_at=func.clock_timestamp())
    for path in ("/ws/media", "/ws/authenticated"):
        ws = house.open(path, ann)
        snapshot = hear(ws)
        assert snapshot["event"] == "snapshot"
        rows = {row["id"]: row for row in snapshot["data"]["downloads"]}
        assert rows.keys() == {active.id, ended.id}
        assert (rows[active.id]["status"], rows[active.id]["progress"]) == ("downloading", 41.5)
        house.tell("download:progress", ann, key=active.id, id=active.id, progress=42)
        assert hear(ws)["data"] == {"id": active.id, "progress": 42}


def test_a_snapshot_has_the_syncs_too(house: House) -> None:
    ann = house.person("admin")
    with house.runtime.unit_of_work() as db:
        old = sync.cancel(db, sync.start(db, full=False, trigger="manual")[0].id)
        old.ended_at = func.clock_timestamp() - timedelta(minutes=11)
        ended = sync.cancel(db, sync.start(db, full=False, trigger="manual")[0].id)
        waiting = sync.start(db, full=True, trigger="manual")[0]
    told = [(ended.id, "cancelled"), (waiting.id, "queued")]
    for path in ("/ws/system", "/ws/authenticated"):
        data = hear(house.open(path, ann))["data"]
        assert [(row["id"], row["status"]) for row in data["syncs"]] == told
    assert hear(house.open("/ws"))["data"] == {}


def test_each_path_carries_what_it_should_to_whom_it_should(house: House) -> None:
    ann, ben, admin = house.person(), house.person(), house.person("admin")
    with house.runtime.unit_of_work() as db:
        row = make_download(db, db.get_one(User, ann.id))
    listeners = {
        "public": house.listen("/ws"),
        "ann": house.listen("/ws/authenticated", ann),
        "ann media": house.listen("/ws/media", ann),
        "ann system": house.listen("/ws/system", ann),
        "ben": house.listen("/ws/authenticated", ben),
        "admin": house.listen("/ws/authenticated", admin),
        "admin media": house.open("/ws/media", admin),
        "admin admin": house.open("/ws/admin", admin),
    }
    for name in ("admin media", "admin admin"):
        assert row.id in [download["id"] for download in hear(listeners[name])["data"]["downloads"]]
    told = [
        ("download:completed", ann),
        ("notification:new", ann),
        ("media:added", None),
        ("notice:new", None),
        ("sync:completed", None),
        ("plex:activity", None),
        ("download:failed", ben),
    ]
    for name, user in told:
        house.tell(name, user)
    for name in ("notice:last", "media:last"):
        house.tell(name, None)
    heard = {
        name: [event["event"] for event in hear_until(ws, lambda event: event["event"].endswith("last"))][:-1]
        for name, ws in listeners.items()
    }
    assert heard == {
        "public": ["notice:new"],
        "ann": ["download:completed", "notification:new", "media:added", "notice:new"],
        "ann media": ["download:completed", "media:added"],
        "ann system": ["notice:new"],
        "ben": ["media:added", "notice:new", "download:failed"],
        "admin": ["download:completed", "media:added", "notice:new", "sync:completed", "download:failed"],
        "admin media": ["download:completed", "media:added", "download:failed"],
        "admin admin": [name for name, _ in told if name != "notification:new"],
    }


def test_nobody_unknown_gets_past_the_handshake(house: House) -> None:
    ann = house.person()
    assert house.refused("/ws/media") == (401, "UNAUTHORIZED")
    assert house.refused("/ws/media", header=["Authorization: Bearer nonsense"]) == (401, "UNAUTHORIZED")
    assert house.refused("/ws/admin", header=[f"Authorization: Bearer {ann.token}"]) == (403, "FORBIDDEN")
    with house.runtime.unit_of_work() as db:
        sessions.revoke(db, ann.login_id, user_id=ann.id)
    assert house.refused("/ws/media", header=[f"Authorization: Bearer {ann.token}"]) == (401, "UNAUTHORIZED")


def test_a_cookie_needs_our_own_origin(house: House) -> None:
    ann = house.person()
    cookie = f"medianest_access={ann.token}"
    house.listen("/ws/media", cookie=cookie, origin=house.stack.url)
    house.listen("/ws/media", cookie=cookie, origin="https://front.example.com")
    assert house.refused("/ws/media", cookie=cookie, origin="https://evil.example.com") == (403, "FORBIDDEN")
    assert house.refused("/ws/media", cookie=cookie, origin=house.stack.url + ".evil") == (403, "FORBIDDEN")
    assert house.refused("/ws/media", cookie=cookie, suppress_origin=True) == (403, "FORBIDDEN")


def test_a_broken_handshake_is_a_bad_request(house: House) -> None:
    with socket.create_connection(("127.0.0.1", house.stack.port), timeout=5) as client:
        client.sendall(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n"
        )
        assert client.recv(4096).startswith(b"HTTP/1.1 400 ")
    assert requests.get(f"{house.stack.url}/ws", timeout=5).status_code == 400


def test_snapshot_and_changes_have_no_gap_and_no_step_back(house: House) -> None:
    ann = house.person()
    with house.runtime.unit_of_work() as db:
        row = make_download(db, db.get_one(User, ann.id), status="downloading")
    opened = threading.Event()

    def work() -> None:
        progress = 0
        while progress < 99 and not (progress > 20 and opened.is_set()):
            progress += 1
            change(progress=progress)
            time.sleep(0.002)
        change(progress=100, status="completed")

    def change(**values: Any) -> None:
        with house.runtime.unit_of_work() as db:
            mine = db.get_one(Download, row.id)
            for name, value in values.items():
                setattr(mine, name, value)
            if mine.status == "completed":
                mine.ended_at = func.clock_timestamp()
            db.flush()
            announce(db, mine)

    worker = threading.Thread(target=work)
    worker.start()
    listeners = [house.open("/ws/media", ann) for _ in range(25)]
    opened.set()
    worker.join()
    for ws in listeners:
        snapshot = hear(ws)
        seen = [snapshot["data"]["downloads"][0]]
        while seen[-1]["status"] != "completed":
            seen.append(hear(ws)["data"])
        steps = [state["progress"] for state in seen]
        assert steps == sorted(steps)
        assert steps[-1] == 100


def test_a_slow_client_loses_progress_but_no_final_state_and_slows_nobody(house: House) -> None:
    ann = house.person()
    slow = house.listen("/ws/media", ann, sockopt=((socket.SOL_SOCKET, socket.SO_RCVBUF, 4096),))
    fast = house.listen("/ws/media", ann)
    padding = "x" * 2000
    longest = 0.0
    for number in range(40):
        key = f"dl-{number % 4}"
        for step in range(25):
            house.tell(
                "download:progress", ann, key=key, id=key, number=number, progress=step, padding=padding
            )
        house.tell("download:completed", ann, key=key, id=key, number=number)
        begin = time.monotonic()
        hear_until(fast, lambda event, number=number: is_final(event, number))
        longest = max(longest, time.monotonic() - begin)
    assert longest < 1.0
    house.tell("download:progress", ann, key="dl-9", id="dl-9", progress=1, padding=padding)
    house.tell("download:progress", ann, key="dl-9", id="dl-9", progress=2, padding=padding)
    heard = hear_until(slow, lambda event: event["data"]["id"] == "dl-9" and event["data"]["progress"] == 2)
    finals = [event["data"]["number"] for event in heard if event["event"] == "download:completed"]
    assert finals == list(range(40))
    assert 0 < len(heard) - len(finals) < 500
    for number in range(40):
        position = next(at for at, event in enumerate(heard) if is_final(event, number))
        assert not any(event["data"].get("number") == number for event in heard[position + 1 :])


def is_final(event: dict[str, Any], number: int) -> bool:
    return event["event"] == "download:completed" and event["data"]["number"] == number


def test_a_client_too_slow_for_what_must_not_be_lost_is_sent_away(house: House) -> None:
    ann = house.person()
    slow = house.listen("/ws/authenticated", ann, sockopt=((socket.SOL_SOCKET, socket.SO_RCVBUF, 4096),))
    for number in range(1500):
        house.tell("notification:new", ann, number=number, padding="x" * 1000)
    assert farewell(slow) == 1013
    assert house.listen("/ws/media", ann)


def test_many_sockets_leave_the_threads_to_requests(house: House) -> None:
    ann = house.person()
    listeners = [house.listen("/ws/media", ann) for _ in range(50)]
    for _ in range(20):
        assert requests.get(f"{house.stack.url}/health", timeout=2).status_code == 200
    house.tell("download:completed", ann, key="dl-1", id="dl-1")
    assert [hear(ws)["data"]["id"] for ws in listeners] == ["dl-1"] * 50


def test_what_a_client_sends_is_ignored_within_limits(house: House) -> None:
    ann = house.person()
    ws = house.listen("/ws/media", ann)
    ws.send("x" * 4096)
    ws.send_binary(b"\0" * 4096)
    ws.ping("still there?")
    assert ws.recv_frame().data == b"still there?"
    ws.send("x" * 5000)
    assert farewell(ws) == 1009

    in_parts = house.listen("/ws/media", ann)
    in_parts.send_frame(websocket.ABNF.create_frame("x" * 3000, websocket.ABNF.OPCODE_TEXT, fin=0))
    in_parts.send_frame(websocket.ABNF.create_frame("x" * 3000, websocket.ABNF.OPCODE_CONT, fin=1))
    assert farewell(in_parts) == 1009

    malformed = house.listen("/ws/media", ann)
    malformed.sock.sendall(b"\x81\x05hello")  # not masked
    assert farewell(malformed) == 1002

    polite = house.listen("/ws/media", ann)
    polite.send_close(1000)
    assert farewell(polite) == 1000
    assert polite.sock.recv(1) == b""


def test_a_frame_that_came_with_the_handshake_is_not_lost(house: House) -> None:
    with socket.create_connection(("127.0.0.1", house.stack.port), timeout=5) as client:
        client.sendall(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
            b"\x89\x82\x00\x00\x00\x00hi"
        )
        heard = b""
        while b"\x8a\x02hi" not in heard:
            more = client.recv(4096)
            assert more, heard
            heard += more
    assert heard.startswith(b"HTTP/1.1 101 ")
    assert b"permessage-deflate" not in heard  # frames are built once for all, so they can't be compressed


def test_a_final_state_takes_the_place_of_progress_that_still_waits() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        peer = Peer(ours, Audience(None, None, None))
        peer.hold()
        for name, passing in (("progress", True), ("completed", False)):
            peer.offer(Frame(text_frame(name.encode()), passing, "dl-1", time.monotonic()))
        peer.release(text_frame(b"snapshot"), since=0.0)
        peer.flush()
        assert theirs.recv(4096) == text_frame(b"snapshot") + text_frame(b"completed")


def test_a_client_that_answers_no_ping_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_loop, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(socket_loop, "PING_SECONDS", 0.1)
    monkeypatch.setattr(socket_loop, "SILENCE_SECONDS", 0.4)
    with linked_clients() as (dead, alive, loop):
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            assert alive.recv(2) == PING
            alive.sendall(b"\x8a\x80\x00\x00\x00\x00")
        assert len(loop.peers) == 1
        while dead.recv(100):
            pass


def test_a_client_that_takes_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_loop, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(socket_loop, "STALL_SECONDS", 0.3)
    monkeypatch.setattr(socket_peer, "LINGER_SECONDS", 0.2)
    with linked_clients() as (_stalled, other, loop):
        frame = Frame(text_frame(b"x" * 300_000), passing=False, key=None, received=0.0)
        loop.call(lambda: [(peer.offer(frame), loop.touch(peer)) for peer in loop.peers])
        taken = 0
        while taken < 300_000:
            taken += len(other.recv(65536))
        eventually(lambda: len(loop.peers) == 1, 5)


@contextmanager
def linked_clients() -> Iterator[tuple[socket.socket, socket.socket, SocketLoop]]:
    """Two clients of a loop in this process, without a web server before it."""
    loop = SocketLoop(lambda: None, lambda peer: None)
    loop.start()
    pairs = [socket.socketpair() for _ in range(2)]
    for ours, theirs in pairs:
        theirs.settimeout(5)
        loop.call(loop.add, Peer(ours, Audience(None, None, None)))
    try:
        yield pairs[0][1], pairs[1][1], loop
    finally:
        for _, theirs in pairs:
            theirs.close()
        loop.stop()


@pytest.mark.parametrize("how", ["logout", "disabled", "demoted"])
def test_a_session_that_ends_takes_its_sockets_along(house: House, how: str) -> None:
    ann, ben = house.person("admin"), house.person()
    ws, other = house.listen("/ws/media", ann), house.listen("/ws/media", ben)
    with house.runtime.unit_of_work() as db:
        if how == "logout":
            sessions.revoke(db, ann.login_id, user_id=ann.id)
        elif how == "disabled":
            db.get_one(User, ann.id).disabled_at = func.clock_timestamp()
        else:
            db.get_one(User, ann.id).role = "user"
    begin = time.monotonic()
    assert farewell(ws) == 4401
    assert time.monotonic() - begin < 5
    house.tell("download:completed", ben, id="dl-1")
    assert hear(other)["data"] == {"id": "dl-1"}


def test_when_redis_comes_back_a_snapshot_says_what_was_missed(house: House) -> None:
    ann = house.person()
    ws = house.listen("/ws/media", ann)
    house.redis_life.close()
    with house.runtime.unit_of_work() as db:
        row = make_download(db, db.get_one(User, ann.id), id=new_id("dl"))
    late = house.open("/ws/media", ann)  # is not kept waiting for Redis
    assert [download["id"] for download in hear(late)["data"]["downloads"]] == [row.id]
    house.redis_life.enter_context(house.redis.running())
    for listener in (ws, late):
        snapshot = hear(listener)
        assert snapshot["event"] == "snapshot"
        assert [download["id"] for download in snapshot["data"]["downloads"]] == [row.id]
    house.tell("download:completed", ann, key=row.id, id=row.id)
    assert hear(ws)["data"] == {"id": row.id}


def test_a_worker_that_ends_says_so_and_the_next_one_serves(house: House) -> None:
    ann = house.person()
    ws = house.listen("/ws/media", ann)
    [worker] = house.stack.pool_children("web")
    begin = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert farewell(ws) == 1012
    assert time.monotonic() - begin < 3
    eventually(lambda: [w.pid for w in house.stack.pool_children("web")] not in ([], [worker.pid]))
    house.listen("/ws/media", ann)
