"""One open WebSocket: its send buffer, and the frames that it receives."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.frame_protocol import CloseReason

from engine.readers import NOTHING, Readable

SEND_BUFFER = 64 * 1024  # in the kernel: what lies there is stale progress that can't be replaced any more
WRITE_AT_ONCE = 16 * 1024
READ_AT_ONCE = 4096
BACKLOG_BYTES = 1024 * 1024
BACKLOG_FRAMES = 1000
MESSAGE_BYTES = 4096  # clients send nothing that we use; a little is ignored, more is refused
LINGER_SECONDS = 3.0

PING = b"\x89\x00"
TRY_AGAIN_LATER = 1013
SESSION_ENDED = 4401


@dataclass(frozen=True, slots=True)
class Audience:
    """Who listens at a socket, and what it may see.

    Attributes:
        user_id: None for anybody.
        via: the session or API key that must last as long as the socket; None where there is none.
        rights: role and permissions on connecting; when they change, the socket ends.
        hears: the data whose events it gets, of its own user and of others.
        shown: the names of those data that are in its snapshot.
        place: the user or address that the socket counts for.
    """

    user_id: str | None
    via: str | None
    rights: tuple[str, frozenset[str]] | None
    hears: Readable = NOTHING
    shown: frozenset[str] = frozenset()
    place: str = ""

    def gets(self, user_id: str | None, datum: str) -> bool:
        """Whether it may get an event of that user (None: of no user) about that datum."""
        return datum in (self.hears.own if user_id is None or user_id == self.user_id else self.hears.others)

    @property
    def snapshot_key(self) -> tuple[frozenset[str], frozenset[str], str | None]:
        """What its snapshot depends on: sockets with equal keys share one."""
        others = self.shown & self.hears.others
        return self.shown, others, None if self.shown == others else self.user_id


@dataclass(frozen=True, slots=True)
class Frame:
    """An event on the wire: encoded and framed once, shared by all sockets that get it.

    Attributes:
        passing: only the latest of its key need be sent, such as of progress; only with a key.
        key: what it is about; a newer frame takes the place of a passing one that is still waiting.
        received: on the monotonic clock.
    """

    wire: bytes
    passing: bool
    key: str | None
    received: float


def text_frame(payload: bytes) -> bytes:
    """Frame a text message as servers do: unmasked, so that the bytes suit every client (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", 0x81, 126, size) + payload
    return struct.pack("!BBQ", 0x81, 127, size) + payload


def close_frame(code: int, reason: str) -> bytes:
    """Frame a close; `reason` is short ASCII (RFC 6455, 5.5.1)."""
    return struct.pack("!BBH", 0x88, 2 + len(reason), code) + reason.encode("ascii")


class Peer:
    """A client's socket with a bounded buffer in front of it; only the loop's thread touches it.

    While it is held, events wait: a snapshot is on its way and comes first.

    Attributes:
        audience: who listens, and what it may see.
        heard_at: when anything came from it.
        finished: there is nothing more to send or to hear; the socket can be closed.
    """

    __slots__ = (
        "_answered", "_backlog_bytes", "_backlog_frames", "_control", "_current", "_deaf",
        "_farewell", "_holds", "_message_size", "_pending", "_protocol", "_snapshot", "audience",
        "blocked_since", "closing_until", "finished", "heard_at", "interest", "ping_at", "sock",
    )  # fmt: skip

    def __init__(self, sock: socket.socket, audience: Audience, read_ahead: bytes = b"") -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self.sock = sock
        self.audience = audience
        self.heard_at = time.monotonic()
        self.ping_at = 0.0
        self.blocked_since: float | None = None
        self.closing_until: float | None = None
        self.finished = False
        self.interest = 0
        self._protocol = Connection(ConnectionType.SERVER, trailing_data=read_ahead)
        self._holds = 0
        self._current = memoryview(b"")
        self._control = b""
        self._snapshot = b""
        self._farewell = b""
        self._pending: dict[str | int, Frame] = {}
        self._backlog_bytes = self._backlog_frames = 0
        self._message_size = 0
        self._deaf = self._answered = False

    @property
    def blocked(self) -> bool:
        """Whether bytes wait until the socket can be written to."""
        return len(self._current) > 0

    def offer(self, frame: Frame) -> None:
        """Queue an event, replacing a passing one of the same key; too long a queue of others closes the socket."""
        if self.closing_until is not None:
            return
        if frame.key is not None:
            self._pending.pop(frame.key, None)
            if frame.passing:
                self._pending[frame.key] = frame
                return
        self._pending[id(frame)] = frame
        self._backlog_frames += 1
        self._backlog_bytes += len(frame.wire)
        if self._backlog_frames > BACKLOG_FRAMES or self._backlog_bytes > BACKLOG_BYTES:
            self.close(TRY_AGAIN_LATER, "too slow")

    def control(self, wire: bytes) -> None:
        """Send a ping or a pong before anything else; one that still waits is replaced (RFC 6455, 5.5.3)."""
        self._control = wire

    def hold(self) -> None:
        """Keep events back until a snapshot has been released, once for each call."""
        self._holds += 1

    def has_news(self, since: float) -> bool:
        """Whether a passing event waits that was received at `since` (monotonic) or later."""
        return any(frame.passing and frame.received >= since for frame in self._pending.values())

    def release(self, snapshot: bytes, since: float) -> None:
        """Put a snapshot in front of what waits.

        Args:
            snapshot: a framed message.
            since: the monotonic time before which passing events are older than the snapshot.
        """
        self._holds -= 1
        self._snapshot = snapshot
        for slot in [
            slot for slot, frame in self._pending.items() if frame.passing and frame.received < since
        ]:
            del self._pending[slot]

    def close(self, code: int, reason: str) -> None:
        """Send a close frame, and drop the queue; the client has a few seconds to answer."""
        self._end(close_frame(code, reason))

    def flush(self) -> None:
        """Write as much as the socket takes now."""
        try:
            while True:
                if not self._current:
                    self._current = memoryview(self._next())
                    if not self._current:
                        break
                sent = self.sock.send(self._current)
                self._current = self._current[sent:]
                self.blocked_since = None
        except BlockingIOError:
            if self.blocked_since is None:
                self.blocked_since = time.monotonic()
        except OSError:
            self.finished = True
        if self._answered and not self._current and not self._farewell:
            self.finished = True

    def receive(self) -> None:
        """Read once, and answer pings and closes."""
        try:
            data = self.sock.recv(READ_AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.finished = True
            return
        self.heard_at = time.monotonic()
        if not self._deaf:
            self._protocol.receive_data(data)
            self.digest()

    def digest(self) -> None:
        """Handle the frames that have been read."""
        for event in self._protocol.events():
            self._handle(event)

    def _handle(self, event: Event) -> None:
        if isinstance(event, Ping):
            self.control(bytes(self._protocol.send(event.response())))
        elif isinstance(event, TextMessage | BytesMessage):
            self._message_size += len(event.data)
            if self._message_size > MESSAGE_BYTES:
                self._deaf = True
                self.close(CloseReason.MESSAGE_TOO_BIG, "nothing is expected from a client")
            elif event.message_finished:
                self._message_size = 0
        elif isinstance(event, CloseConnection):
            if self._protocol.state is ConnectionState.REMOTE_CLOSING:
                self._answered = True
                self._end(bytes(self._protocol.send(event.response())))
            else:  # wsproto's way of saying that it could not parse what came
                self._deaf = True
                self.close(event.code, "malformed frame")

    def _end(self, farewell: bytes) -> None:
        if self.closing_until is None:
            self.closing_until = time.monotonic() + LINGER_SECONDS
            self._farewell = farewell
            self._pending.clear()
            self._snapshot = b""

    def _next(self) -> bytes:
        """Take the bytes to write next: whole frames, so that nothing ever comes between two halves."""
        parts, self._control = [self._control], b""
        if self._holds == 0 or self._farewell:
            parts += [self._snapshot, *self._take_pending(), self._farewell]
            self._snapshot = self._farewell = b""
        return b"".join(parts)

    def _take_pending(self) -> list[bytes]:
        taken: list[bytes] = []
        if not self._pending:
            return taken
        slots, size = [], 0
        for slot, frame in self._pending.items():
            slots.append(slot)
            taken.append(frame.wire)
            size += len(frame.wire)
            if not frame.passing:
                self._backlog_frames -= 1
                self._backlog_bytes -= len(frame.wire)
            if size >= WRITE_AT_ONCE:
                break
        for slot in slots:
            del self._pending[slot]
        return taken
