"""The web server's worker: a thread is for requests that have arrived, so that slow clients cost a connection only.

gunicorn's own `gthread` reads in its threads, for as long as a client likes. Here the loop that accepts gathers a
request first, without a thread, within a deadline. What it does not gather (large bodies, chunked ones, whoever
expects `100 Continue`) is read by threads of the slow lane: a quarter of them, of which one address gets half. Files
are sent by a thread of their own (`FileSender`), once the one that handled their request has sent the headers.
"""

from __future__ import annotations

import errno
import selectors
import socket
import time
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from gunicorn.http.errors import (  # type: ignore[import-untyped]
    ConfigurationProblem,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    ParseException,
)
from gunicorn.workers.gthread import (  # type: ignore[import-untyped]
    STOP_KEEPALIVE_LINGER,
    ThreadWorker,
)

from api.log_throttle import ThrottledWarning
from api.security.addresses import is_within
from api.server.arriving import LARGEST, SEND_SECONDS, Arriving, BoundedUnreader, Stage, stage_of
from api.server.bodies import MalformedBody, guard
from api.server.file_sender import FileSender
from api.server.malformed import Malformed
from api.server.slow_lane import SlowLane
from api.wire.files import HAND_OVER, FilePiece
from engine.rate_limits.limits import counted_address

UNFINISHED = 100  # requests of one address that are gathered at once; the oldest makes room for the next
_FAREWELL_SECONDS = 2.0  # for the client to close, so that it has read our answer
_FAREWELL_BYTES = 1024 * 1024  # that it may still be sending; more, and it may not see the answer
_LOOPBACK = "127.0.0.1"  # what a proxy that comes over a Unix socket counts as

_FULL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_OURS = (ConfigurationProblem, InvalidResponseHeader, InvalidResponseHeaderName)

_slow = ThrottledWarning("web.slow_clients")


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """Everything but the handling of a request is done by the main thread, so nothing here needs a lock.

    Attributes:
        proxies: addresses that speak for many clients, and have no share; set after the fork.
        malformed: answers what is no request; set after the fork.
    """

    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    malformed: Malformed
    wsgi: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arriving: dict[Any, Arriving] = {}
        self._leaving: dict[Any, tuple[float, int]] = {}
        self._lane = SlowLane(max(1, self.cfg.threads // 4))
        self._sender, self._pieces = FileSender(), dict[Any, FilePiece]()
        self._stop_at: float | None = None

    def load_wsgi(self) -> None:
        """Offer each request to send the file that is its answer; gunicorn would keep its thread for that."""
        super().load_wsgi()
        app = self.wsgi

        def serve(environ: dict[str, Any], start_response: Any) -> Any:
            if not self.cfg.is_ssl:
                environ[HAND_OVER] = partial(self._pieces.__setitem__, environ["gunicorn.socket"])
            return app(environ, start_response)

        self.wsgi = serve

    def accept(self, listener: socket.socket) -> None:
        """Take a connection; where there are too many, one that has not finished anything makes room."""
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            _slow.note(reason=f"no connection can be taken: {error.strerror}", address=None)
            self._drop_one()
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
        guard(req)
        try:
            return super().handle_request(req, conn)
        except TimeoutError:
            _slow.note(reason="answer not taken", address=_peer(conn))
            raise ConnectionResetError(errno.ECONNRESET, "the answer was not taken") from None

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer what is no request, on a thread; everything else is a mistake of ours."""
        if not isinstance(exc, ParseException) or isinstance(exc, _OURS):
            super().handle_error(req, client, addr, exc)
            return
        address = str(addr[0]) if isinstance(addr, tuple) else None
        with suppress(OSError):  # who sent it has gone
            self.malformed.refuse(client, address, exc, counted=self._share_of(address) is not None)

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Whether the connection can take another request: not after a malformed body that no view has read."""
        try:
            return bool(super()._keepalive_after(conn, keepalive))
        except MalformedBody:
            return False

    def finish_request(self, conn: Any, fs: Any) -> None:
        """After a request: wait for the next one, or close the connection."""
        if self._lane.leave(conn):
            self._let_in()
        if isinstance(reader := getattr(conn.parser, "unreader", None), BoundedUnreader) and reader.given_up:
            _slow.note(reason="body too slow", address=_peer(conn))
        piece = self._pieces.pop(conn.sock, None)
        if piece is None:
            self._end_request(conn, fs)
        else:
            ended = partial(self.method_queue.defer, self._end_file, conn, fs)
            self._sender.send(conn.sock, piece, ended)

    def _end_file(self, conn: Any, fs: Any, whole: bool) -> None:
        """After a file: as after any answer, unless a part is missing; the next one would be taken for that."""
        if whole:
            self._end_request(conn, fs)
        else:
            self._close(conn)

    def _end_request(self, conn: Any, fs: Any) -> None:
        if fs.cancelled() or fs.exception() is not None or fs.result():
            super().finish_request(conn, fs)
        else:
            self._say_goodbye(conn)

    def murder_pending(self) -> None:
        """Once a second: close connections whose deadline has passed."""
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
        for conn in self._lane.timed_out(now):
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
        """Read once; whether the connection was handed over or closed."""
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
        """Hand a request to the threads if it is whole, or too long to be gathered; whether it was."""
        stage = stage_of(arriving.data)
        if stage is Stage.INCOMPLETE:
            return False
        self._hand_over(conn, arriving, patient=stage is Stage.LONG)
        return True

    def _hand_over(self, conn: Any, arriving: Arriving, *, patient: bool) -> None:
        conn.parser.unreader.begin(bytes(arriving.data), patient=patient)
        if patient:
            self._lane.wait(conn, self._share_of(_peer(conn)))
            self._let_in()
        else:
            super().enqueue_req(conn)

    def _let_in(self) -> None:
        for conn in self._lane.admit():
            super().enqueue_req(conn)

    def _share_of(self, address: str | None) -> str | None:
        """The address that a connection counts for; None for a proxy, which passes on those of many clients."""
        return None if is_within(address or _LOOPBACK, self.proxies) else counted_address(address)

    def _make_room(self) -> None:
        """Close what is unfinished for longest: of an address that has too many, and of all when all are too many."""
        if len(self._arriving) > UNFINISHED:
            newest = next(reversed(self._arriving))
            share = self._share_of(_peer(newest))
            if share is not None:
                own = [conn for conn in self._arriving if self._share_of(_peer(conn)) == share]
                if len(own) > UNFINISHED:
                    _slow.note(reason="too many unfinished requests", address=_peer(newest))
                    self._forget(own[0], self._arriving)
        while self.nr_conns >= self.worker_connections - self.cfg.threads and self._drop_one():
            pass

    def _drop_one(self) -> bool:
        """Close a connection without a request in hand; whether there was one. Without one, break off a file."""
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
            self._sender.drop_one()
            return False
        return True

    def _say_goodbye(self, conn: Any) -> None:
        """Close a connection once the client has read our answer, without blocking; gunicorn blocks its main thread."""
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
