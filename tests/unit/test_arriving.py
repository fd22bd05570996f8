"""What of a request is surely all there, how long a client may take, and who stands in line."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from api.server import arriving, slow_lane
from api.server.arriving import LARGEST, Arriving, BoundedUnreader, BrokenOff, Stage, stage_of
from api.server.slow_lane import SlowLane

POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("data", "stage"),
    [
        (b"", Stage.INCOMPLETE),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", Stage.INCOMPLETE),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", Stage.WHOLE),
        (b"GET / HTTP/1.1\r\n\r\n", Stage.WHOLE),
        (b"\r\n\r\n", Stage.INCOMPLETE),
        (b"\r\nGET / HTTP/1.1\r\n\r\n", Stage.WHOLE),
        (b"GET / HTTP/1.1\nHost: x\n\n", Stage.WHOLE),  # the parser refuses it
        (POST + b"Content-Length: 3\r\n\r\nab", Stage.INCOMPLETE),
        (POST + b"Content-Length: 3\r\n\r\nabc", Stage.WHOLE),
        (POST + b"content-LENGTH:3\r\nA: b\r\n\r\nab", Stage.INCOMPLETE),
        (POST + b"Content-Length: 0\r\n\r\n", Stage.WHOLE),
        (POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", Stage.LONG),
        (POST + b"Content-Length: +3\r\n\r\nabc", Stage.LONG),
        (POST + b"Content-Length: 3, 3\r\n\r\nabc", Stage.LONG),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Stage.LONG),
        (POST + b"transfer-encoding: chunked\r\nContent-Length: 0\r\n\r\n", Stage.LONG),
        (POST + b"Content-Length: %d\r\n\r\n" % LARGEST, Stage.LONG),
        (POST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n", Stage.LONG),
        (POST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc", Stage.WHOLE),
        (b"GET /" + b"a" * LARGEST, Stage.WHOLE),
    ],
)
def test_what_is_whole_is_surely_whole(data: bytes, stage: Stage) -> None:
    assert stage_of(data) is stage
    assert stage_of(bytearray(data)) is stage


def test_a_drip_moves_the_deadline_by_nothing() -> None:
    one = Arriving(b"")
    before = one.deadline
    one.data += b"x" * 10
    assert one.deadline - before < 0.01
    assert 9 < before - time.monotonic() <= 10


@pytest.fixture
def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair()


def test_a_thread_never_waits_for_what_was_said_to_be_whole(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    with pair[0] as ours, pair[1]:
        unreader = BoundedUnreader(ours)
        unreader.begin(b"abc", patient=False)
        began = time.monotonic()
        assert unreader.read() == b"abc"
        with pytest.raises(BrokenOff):
            unreader.read()
        assert time.monotonic() - began < 1
        assert not unreader.given_up


def test_a_drip_is_read_until_the_time_is_up(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "PATIENCE", 0.5)
    with pair[0] as ours, pair[1] as theirs:
        done = threading.Event()

        def drip() -> None:
            while not done.wait(0.02):
                try:
                    theirs.send(b"x")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        unreader = BoundedUnreader(ours)
        unreader.begin(b"", patient=True)
        began = time.monotonic()
        while unreader.read():
            pass
        assert 0.4 < time.monotonic() - began < 2
        assert unreader.given_up
        assert unreader.read() == b""
        done.set()
        thread.join()


def test_one_address_gets_half_of_the_lane_and_a_proxy_all_of_it() -> None:
    lane = SlowLane(4)
    for name in "abc":
        lane.wait(name, "192.0.2.1")
    assert lane.admit() == ["a", "b"]
    lane.wait("d", "192.0.2.2")
    lane.wait("e", "192.0.2.3")
    lane.wait("f", "192.0.2.3")
    assert lane.admit() == ["d", "e"]
    assert [lane.leave("a"), lane.leave("a"), lane.leave("elsewhere")] == [True, False, False]
    assert lane.admit() == ["c"]

    proxied = SlowLane(4)
    for name in "abcde":
        proxied.wait(name, None)
    assert proxied.admit() == ["a", "b", "c", "d"]


def test_nobody_stands_in_line_for_ever() -> None:
    lane = SlowLane(1)
    lane.wait("a", None)
    lane.wait("b", None)
    lane.admit()
    assert lane.timed_out(time.monotonic()) == []
    assert lane.timed_out(time.monotonic() + slow_lane.LANE_SECONDS) == ["b"]
    lane.leave("a")
    assert lane.admit() == []
