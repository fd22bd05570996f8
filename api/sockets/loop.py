"""The I/O loop of a web process's open sockets: one thread, which never blocks on a client."""

from __future__ import annotations

import random
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import structlog

from api.sockets.peer import PING, TRY_AGAIN_LATER, Peer

log = structlog.get_logger(__name__)

TICK_SECONDS = 1.0
PING_SECONDS = 25.0
SILENCE_SECONDS = 60.0
STALL_SECONDS = 30.0
SERVICE_RESTART = 1012
FAREWELL_SECONDS = 1.0


class SocketLoop:
    """Reads from peers, writes to them, pings them and closes those that are silent or too slow.

    Any thread may use `start`, `call` and `stop`; the other methods are for the loop's thread.

    Args:
        on_tick: called about once a second while there are peers.
        on_gone: called with a peer whose socket has just been closed.
    """

    def __init__(self, on_tick: Callable[[], None], on_gone: Callable[[Peer], None]) -> None:
        self.peers: set[Peer] = set()
        self._on_tick, self._on_gone = on_tick, on_gone
        self._inbox: deque[Callable[[], None]] = deque()
        self._touched: dict[Peer, None] = {}
        self._selector = selectors.DefaultSelector()
        self._bell, self._bell_push = socket.socketpair()
        self._bell.setblocking(False)
        self._bell_push.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._next_tick = 0.0
        self._stop_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="sockets", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Close all sockets, and wait until their clients have answered, for a second at most."""
        self.call(self._begin_stop)
        self._thread.join(2 * FAREWELL_SECONDS)

    def call(self, function: Callable[..., None], *args: Any) -> None:
        """Have the loop's thread call something; calls are made in the order in which they came."""
        self._inbox.append(partial(function, *args))
        with suppress(OSError):  # so full that the loop has every reason to wake up already, or at its end
            self._bell_push.send(b"\0")

    def add(self, peer: Peer) -> None:
        """Begin to serve a peer."""
        peer.ping_at = time.monotonic() + random.uniform(0, PING_SECONDS)  # noqa: S311 - so that not all go at once
        peer.interest = selectors.EVENT_READ
        self._selector.register(peer.sock, peer.interest, peer)
        self.peers.add(peer)
        self._guarded(peer, peer.digest)
        if self._stop_at is not None:
            peer.close(SERVICE_RESTART, "restarting")
        self.touch(peer)

    def touch(self, peer: Peer) -> None:
        """Remember that a peer has something to write; it is written when all that is due now is queued."""
        self._touched[peer] = None

    def _run(self) -> None:
        while not self._stopped():
            timeout = max(0.0, self._next_tick - time.monotonic()) if self.peers else None
            for key, mask in self._selector.select(timeout):
                self._react(key.data, mask)
            for _ in range(len(self._inbox)):
                self._guarded(None, self._inbox.popleft())
            if self.peers and time.monotonic() >= self._next_tick:
                self._tick()
            touched, self._touched = self._touched, {}
            for peer in touched:
                self._guarded(peer, peer.flush)
                self._settle(peer)
        for peer in list(self.peers):
            self._drop(peer)
        self._selector.close()
        self._bell.close()
        self._bell_push.close()

    def _react(self, peer: Peer | None, mask: int) -> None:
        if peer is None:
            self._bell.recv(4096)
            return
        if mask & selectors.EVENT_READ:
            self._guarded(peer, peer.receive)
        self.touch(peer)

    def _guarded(self, peer: Peer | None, function: Callable[[], None]) -> None:
        """Call something; an exception about one peer or one event must not end the loop for all others."""
        try:
            function()
        except Exception:
            log.exception("sockets.bug")
            if peer is not None:
                peer.finished = True

    def _settle(self, peer: Peer) -> None:
        if peer not in self.peers:
            return
        if peer.finished:
            self._drop(peer)
            return
        interest = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.blocked else 0)
        if interest != peer.interest:
            peer.interest = interest
            self._selector.modify(peer.sock, interest, peer)

    def _drop(self, peer: Peer) -> None:
        self.peers.discard(peer)
        self._selector.unregister(peer.sock)
        peer.sock.close()
        self._guarded(None, partial(self._on_gone, peer))

    def _tick(self) -> None:
        now = time.monotonic()
        self._next_tick = now + TICK_SECONDS
        for peer in self.peers:
            if peer.closing_until is not None:
                peer.finished = peer.finished or now >= peer.closing_until
            elif now - peer.heard_at > SILENCE_SECONDS:
                peer.finished = True
            elif peer.blocked_since is not None and now - peer.blocked_since > STALL_SECONDS:
                peer.close(TRY_AGAIN_LATER, "too slow")
            elif now >= peer.ping_at:
                peer.ping_at = now + PING_SECONDS
                peer.control(PING)
            else:
                continue
            self.touch(peer)
        self._guarded(None, self._on_tick)

    def _begin_stop(self) -> None:
        self._stop_at = time.monotonic() + FAREWELL_SECONDS
        self._next_tick = 0.0
        for peer in self.peers:
            peer.close(SERVICE_RESTART, "restarting")
            self.touch(peer)

    def _stopped(self) -> bool:
        return self._stop_at is not None and (not self.peers or time.monotonic() >= self._stop_at)
