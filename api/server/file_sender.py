"""Sends files to any number of clients with one thread: a client that reads slowly costs a connection, as elsewhere."""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue

from api.server.arriving import SEND_SECONDS
from api.wire.files import FilePiece

_MOST = 256 * 1024  # bytes for one client before the next has a turn

Ended = Callable[[bool], None]


@dataclass(eq=False)
class _Sending:
    """`ended` is told whether all of the piece was sent."""

    sock: socket.socket
    piece: FilePiece
    ended: Ended
    moved_at: float = field(default_factory=time.monotonic)


class FileSender:
    """The thread, which starts with the first file, and what it sends.

    The files are read by the kernel (sendfile), so nothing of them is in our memory.
    """

    def __init__(self) -> None:
        self._new = SimpleQueue[_Sending]()
        self._under_way: dict[_Sending, None] = {}
        self._selector: selectors.BaseSelector | None = None
        self._wake, self._waker = socket.socketpair()

    def send(self, sock: socket.socket, piece: FilePiece, ended: Ended) -> None:
        """Send a piece of a file, and close that; to be called by one thread only.

        Args:
            sock: belongs to this until the end.
            piece: of a regular file.
            ended: called by the sending thread. False: the client left or does not take it, or the file got shorter.
        """
        sock.setblocking(False)
        self._new.put(_Sending(sock, piece, ended))
        if self._selector is None:
            self._selector = selectors.DefaultSelector()
            self._selector.register(self._wake, selectors.EVENT_READ)
            threading.Thread(target=self._run, args=[self._selector], daemon=True, name="files").start()
        self._waker.send(b"\0")

    def drop_one(self) -> None:
        """Break off the sending that is under way for longest, if there is one; its client can go on by a range."""
        with suppress(StopIteration, RuntimeError, OSError):  # the other thread may be changing them
            next(iter(self._under_way)).sock.shutdown(socket.SHUT_RDWR)

    def _run(self, selector: selectors.BaseSelector) -> None:
        while True:
            for key, _ in selector.select(1.0):
                if key.data is None:
                    self._wake.recv(1)
                    self._begin(selector, self._new.get())
                else:
                    self._move(selector, key.data)
            late = time.monotonic() - SEND_SECONDS
            for sending in [each for each in self._under_way if each.moved_at < late]:
                self._end(selector, sending, whole=False)

    def _begin(self, selector: selectors.BaseSelector, sending: _Sending) -> None:
        self._under_way[sending] = None
        selector.register(sending.sock, selectors.EVENT_WRITE, sending)

    def _move(self, selector: selectors.BaseSelector, sending: _Sending) -> None:
        piece = sending.piece
        try:
            sent = os.sendfile(
                sending.sock.fileno(), piece.file.fileno(), piece.offset, min(piece.left, _MOST)
            )
        except BlockingIOError:
            return
        except OSError:
            sent = 0
        piece.offset += sent
        piece.left -= sent
        sending.moved_at = time.monotonic()
        if sent == 0 or piece.left == 0:
            self._end(selector, sending, whole=piece.left == 0)

    def _end(self, selector: selectors.BaseSelector, sending: _Sending, *, whole: bool) -> None:
        selector.unregister(sending.sock)
        del self._under_way[sending]
        sending.piece.close()
        sending.ended(whole)
