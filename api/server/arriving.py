"""How much of a request has arrived, and how long the rest may take; a thread is given to whole requests only."""

from __future__ import annotations

import io
import re
import socket
import time
from contextlib import suppress
from enum import Enum

from gunicorn.http.errors import LimitRequestHeaders, ParseException  # type: ignore[import-untyped]
from gunicorn.http.unreader import SocketUnreader  # type: ignore[import-untyped]

PATIENCE = 10.0  # seconds for a request, and more as bytes come
SLOWEST = 16 * 1024  # bytes a second
LARGEST = 64 * 1024  # bytes that are waited for without a thread
SEND_SECONDS = 20.0  # that a client may take to take one piece of an answer

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*(?=\r\n|\Z)")


class BrokenOff(ParseException):  # type: ignore[misc]
    """A request that ended before it was complete."""


class Stage(Enum):
    """What is known of a request."""

    INCOMPLETE = "worth waiting for"
    WHOLE = "all there, or nothing that more bytes could mend"
    LONG = "its rest must be read by a thread"


def stage_of(data: bytes | bytearray) -> Stage:
    """How much of a request these bytes are, without parsing them: the parser follows.

    In doubt it is not `WHOLE`: a thread that handles a whole request must never wait for its client.
    """
    start = 2 if data[:2] == b"\r\n" else 0
    end = data.find(b"\r\n\r\n", start)
    if end < 0:
        if len(data) >= LARGEST or data.count(b"\n") != data.count(b"\r\n"):
            return Stage.WHOLE
        return Stage.INCOMPLETE
    head = bytes(data[start:end]).lower()
    if b"transfer-encoding" in head:
        return Stage.LONG
    if b"content-length" not in head:
        return Stage.WHOLE
    lengths = _LENGTH.findall(head)
    if len(lengths) != 1 or head.count(b"content-length") != 1:
        return Stage.LONG
    size = end + 4 + int(lengths[0])
    if len(data) >= size:
        return Stage.WHOLE
    return Stage.LONG if size > LARGEST or b"expect" in head else Stage.INCOMPLETE


class Arriving:
    """A request whose bytes are being gathered.

    Args:
        data: what has come already.
    """

    __slots__ = ("_began", "data")

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self._began = time.monotonic()

    @property
    def deadline(self) -> float:
        """When it is given up, on the monotonic clock; later by a second for every `SLOWEST` bytes received."""
        return self._began + PATIENCE + len(self.data) / SLOWEST


class BoundedUnreader(SocketUnreader):  # type: ignore[misc]
    """Reads a connection for the parser, and for the application that reads a body, within a deadline.

    For a client that takes too long the end of the stream is returned, and the connection shut down. A request that
    was declared whole and is not was broken off, or its head is too large.

    Attributes:
        given_up: its deadline passed.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._patience, self._received, self._spent = 0.0, 0, 0.0
        self._too_large = self.given_up = False

    def begin(self, data: bytes, *, patient: bool) -> None:
        """Begin a request with these bytes; without `patient` nothing more is read."""
        self.buf = io.BytesIO(data)
        self._patience = PATIENCE if patient else 0.0
        self._received, self._spent = len(data) if patient else 0, 0.0
        self._too_large = len(data) >= LARGEST

    def chunk(self, size_hint: int | None = None) -> bytes:
        """The next bytes; none after the deadline.

        Raises:
            ParseException: nothing more is to be read, though it is missing.
        """
        if not self._patience:
            raise LimitRequestHeaders("head") if self._too_large else BrokenOff
        left = self._patience + self._received / SLOWEST - self._spent
        if left <= 0:
            return self._give_up()
        began = time.monotonic()
        self.sock.settimeout(left)
        try:
            data: bytes = super().chunk(size_hint)
        except TimeoutError:
            return self._give_up()
        finally:
            self._spent += time.monotonic() - began
            self.sock.settimeout(SEND_SECONDS)
        self._received += len(data)
        return data

    def _give_up(self) -> bytes:
        self.given_up = True
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        return b""
