"""The web server's worker: a thread is for requests that have arrived, so that slow clients cost a connection only.

gunicorn's own `gthread` reads in its threads, for as long as a client likes. Here the loop that accepts gathers a
request first, without a thread, within a deadline. What it does not gather (large bodies, chunked ones, whoever
expects `100 Continue`) is read by threads of the slow lane: a quarter of them, of which one address gets half.
"""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections import Counter, deque
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from gunicorn.workers.gthread import (  # type: ignore[import-untyped]
    STOP_KEEPALIVE_LINGER,
    ThreadWorker,
)

from api.addresses import is_within
from api.arriving import LARGEST, SEND_SECONDS, Arriving, BoundedUnreader, Stage, stage_of
from api.seldom import Seldom
from engine.rate_limits import counted_address

UNFINISHED = 100  # requests of one address that are gathered at once; the oldest makes room for the next
LANE_SECONDS = 30.0  # that a request waits for a place in the slow lane
_FAREWELL_SECONDS = 2.0  # for the client to close, so that it has read our answer
_FAREWELL_BYTES = 64 * 1024
_LOOPBACK = "127.0.0.1"  # what a proxy that comes over a Unix socket counts as

_slow = Seldom("web.slow_clients")


class SlowLane:
    """Who may have his request read by a thread.

    Args:
        places: requests at once.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._inside: dict[Any, str | None] = {}
        self._waiting: deque[tuple[Any, str | None, float]] = deque()

    def wait(self, conn: Any, address: str | None) -> None:
        """Stand in line; None as an address has no share."""
        self._waiting.append((conn, address, time.monotonic() + LANE_SECONDS))

    def admit(self) -> list[Any]:
        """Those whose turn it is."""
        admitted, left = [], deque[tuple[Any, str | None, float]]()
        shares = Counter(self._inside.values())
        for conn, address, until in self._waiting:
            full = len(self._inside) >= self._places
            if full or (address is not None and shares[address] >= max(1, self._places // 2)):
                left.append((conn, address, until))
                continue
            self._inside[conn] = address
            shares[address] += 1
            admitted.append(conn)
        self._waiting = left
        return admitted

    def leave(self, conn: Any) -> bool:
        """Give a place back; False where there was none."""
        return self._inside.pop(conn, self) is not self

    def tired(self, now: float) -> list[Any]:
        """Those who have stood in line too long; they stand there no more."""
        gone = [conn for conn, _, until in self._waiting if until <= now]
        if gone:
            self._waiting = deque(each for each in self._waiting if each[2] > now)
        return gone


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """Everything but the handling of a request is done by the main thread, so nothing here needs a lock.

    Attributes:
        proxies: addresses that speak for many clients, and have no share; set after the fork.
    """

    proxies: tuple[IPv4Network | IPv6Network, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arriving: dict[Any, Arriving] = {}
        self._leaving: dict[Any, tuple[float, int]] = {}
        self._lane = SlowLane(max(1, self.cfg.threads // 4))
        self._stop_at: float | None = None

    def accept(self, listener: socket.socket) -> None:
        """Take a connection; where there are too many, one that has not finished anything makes room."""
        super().accept(listener)
        self._make_room()

    def enqueue_req(self, conn: Any) -> None:
        """Gather a request, and let a thread handle it then."""
        if self.cfg.is_ssl:  # nothing to see yet; TLS is for a proxy
            super().enqueue_req(conn)
            return
        if not conn.initialized:
            conn.init()
            conn.parser.unreader = BoundedUnreader(conn.sock)
        if conn.sock.gettimeout() != 0:
            conn.sock.setblocking(False)
        arriving = Arriving(conn.parser.unreader.take_buffered())
        if self._goes_on(conn, arriving) or self._receives(conn, arriving):
            return
        self._arriving[conn] = arriving
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_bytes, conn))

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Handle a request, on a thread; a client that does not take its answer is let go."""
        conn.sock.settimeout(SEND_SECONDS)
        try:
            return super().handle_request(req, conn)
        except TimeoutError:
            _slow.note(reason="answer not taken", address=_peer(conn))
            raise ConnectionResetError(errno.ECONNRESET, "the answer was not taken") from None

    def finish_request(self, conn: Any, fs: Any) -> None:
        """After a request: the next one, or goodbye."""
        if self._lane.leave(conn):
            self._let_in()
        if isinstance(reader := getattr(conn.parser, "unreader", None), BoundedUnreader) and reader.given_up:
            _slow.note(reason="body too slow", address=_peer(conn))
        if fs.cancelled() or fs.exception() is not None or fs.result():
            super().finish_request(conn, fs)
        else:
            self._say_goodbye(conn)

    def murder_pending(self) -> None:
        """Once a second: drop those whose time is up."""
        super().murder_pending()
        now = time.monotonic()
        if not self.alive and self._stop_at is None:
            self._stop_at = now + STOP_KEEPALIVE_LINGER
        stop_at = float("inf") if self._stop_at is None else self._stop_at
        for conn, arriving in list(self._arriving.items()):
            if now >= min(arriving.deadline, stop_at if arriving.data else stop_at - STOP_KEEPALIVE_LINGER):
                if arriving.data:
                    _slow.note(reason="request too slow", address=_peer(conn))
                self._forget(conn, self._arriving)
        for conn, (until, _) in list(self._leaving.items()):
            if now >= until:
                self._forget(conn, self._leaving)
        for conn in self._lane.tired(now):
            _slow.note(reason="slow lane full", address=_peer(conn))
            self._close(conn)

    def _on_bytes(self, conn: Any, _: Any) -> None:
        arriving = self._arriving[conn]
        self.poller.unregister(conn.sock)
        del self._arriving[conn]
        if not self._receives(conn, arriving):
            self._arriving[conn] = arriving
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_bytes, conn))

    def _receives(self, conn: Any, arriving: Arriving) -> bool:
        """Read once; whether this connection needs to be waited for no more."""
        try:
            data = conn.sock.recv(LARGEST)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            self._close(conn)
            return True
        arriving.data += data
        if self._goes_on(conn, arriving):
            return True
        if data:
            return False
        if arriving.data:  # the parser tells half a request from none
            self._hand_over(conn, arriving, patient=False)
        else:
            self._close(conn)
        return True

    def _goes_on(self, conn: Any, arriving: Arriving) -> bool:
        """Give a request to the threads as soon as that makes sense."""
        stage = stage_of(arriving.data)
        if stage is Stage.INCOMPLETE:
            return False
        self._hand_over(conn, arriving, patient=stage is Stage.LONG)
        return True

    def _hand_over(self, conn: Any, arriving: Arriving, *, patient: bool) -> None:
        conn.parser.unreader.begin(bytes(arriving.data), patient=patient)
        if patient:
            self._lane.wait(conn, self._share_of(conn))
            self._let_in()
        else:
            super().enqueue_req(conn)

    def _let_in(self) -> None:
        for conn in self._lane.admit():
            super().enqueue_req(conn)

    def _share_of(self, conn: Any) -> str | None:
        """Who a connection is counted for; None: a proxy, which speaks for many."""
        address = _peer(conn)
        return None if is_within(address or _LOOPBACK, self.proxies) else counted_address(address)

    def _make_room(self) -> None:
        """Close what is unfinished for longest: of an address that has too many, and of all when all are too many."""
        if len(self._arriving) > UNFINISHED:
            newest = next(reversed(self._arriving))
            share = self._share_of(newest)
            if share is not None:
                own = [conn for conn in self._arriving if self._share_of(conn) == share]
                if len(own) > UNFINISHED:
                    _slow.note(reason="too many unfinished requests", address=_peer(newest))
                    self._forget(own[0], self._arriving)
        while self.nr_conns >= self.worker_connections - self.cfg.threads:
            if self._leaving:
                self._forget(next(iter(self._leaving)), self._leaving)
            elif self._arriving:
                _slow.note(reason="too many unfinished requests", address=None)
                self._forget(next(iter(self._arriving)), self._arriving)
            elif self.keepalived_conns:
                conn = self.keepalived_conns.popleft()
                self.poller.unregister(conn.sock)
                self._close(conn)
            else:
                break

    def _say_goodbye(self, conn: Any) -> None:
        """End a connection so that the client still reads our answer; gunicorn would let all others wait for that."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        self._leaving[conn] = (time.monotonic() + _FAREWELL_SECONDS, 0)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_farewell, conn))

    def _on_farewell(self, conn: Any, _: Any) -> None:
        until, size = self._leaving[conn]
        try:
            data = conn.sock.recv(LARGEST)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data or size + len(data) > _FAREWELL_BYTES:
            self._forget(conn, self._leaving)
        else:
            self._leaving[conn] = (until, size + len(data))

    def _forget(self, conn: Any, where: dict[Any, Any]) -> None:
        del where[conn]
        with suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)
        self._close(conn)

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()


def _peer(conn: Any) -> str | None:
    """The address at the other end; None over a Unix socket."""
    return str(conn.client[0]) if isinstance(conn.client, tuple) else None
