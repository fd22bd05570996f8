"""The relay of a web process: one subscription to the events for all its sockets, a snapshot first."""

from __future__ import annotations

import atexit
import os
import queue
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson
import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api.sockets.loop import SocketLoop
from api.sockets.peer import SESSION_ENDED, Audience, Frame, Peer, text_frame
from api.sockets.places import SocketPlaces
from config.redis import make_subscriber
from engine.events import CHANNEL_PATTERN, frame
from engine.runtime import Runtime
from models.base import new_id

log = structlog.get_logger(__name__)

Snapshot = Callable[[Session, Audience], Mapping[str, Any]]
Rights = Callable[[Session, Collection[str]], Mapping[str, tuple[str, frozenset[str]]]]

CHECK_SECONDS = 2.0  # and up to a second until the next tick
REDIS_PATIENCE_SECONDS = 1.0
REDIS_PING_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 2.0
DATABASE_PAUSE_SECONDS = 1.0
SNAPSHOT_ROUNDS = 8


class Relay:
    """Three threads behind all sockets of a process, whatever their number.

    The listener reads events from Redis; the loop writes them to the sockets; the desk queries the database, for
    snapshots and for sessions that have ended, so that the loop never waits for it.

    Args:
        runtime: for Redis and the database.
        snapshot: what an audience sees at this moment.
        rights: of those of the given sessions and keys that still hold, role and permissions.

    Attributes:
        places: to be taken before `admit`; given back when the socket is closed.
    """

    def __init__(self, runtime: Runtime, snapshot: Snapshot, rights: Rights) -> None:
        self.places = SocketPlaces()
        self._runtime, self._snapshot, self._rights = runtime, snapshot, rights
        self._loop = SocketLoop(self._tick, self._leave)
        self._own: defaultdict[str | None, set[Peer]] = defaultdict(set)
        self._seeing_all: set[Peer] = set()
        self._desk: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._waiting: queue.SimpleQueue[tuple[Peer, int]] = queue.SimpleQueue()
        self._channel = f"medianest:relay:{new_id('relay')}"
        self._marks: dict[str, Callable[[], None]] = {}
        self._subscribed = threading.Event()
        self._lost_at = time.monotonic()
        self._check_at = 0.0

    def start(self) -> None:
        """Start the threads; they end with the process."""
        self._loop.start()
        for target, name in ((self._listen, "relay-listener"), (self._work, "relay-desk")):
            threading.Thread(target=target, name=name, daemon=True).start()

    def stop(self) -> None:
        """Tell all clients that this process goes away (1012), so that they come back to the next one."""
        self._loop.stop()

    def admit(self, sock: socket.socket, audience: Audience, read_ahead: bytes = b"") -> None:
        """Take over a socket after its handshake, whose place is taken already; it gets a snapshot, then events."""
        self._loop.call(self._join, Peer(sock, audience, read_ahead))

    # On the loop's thread

    def _join(self, peer: Peer) -> None:
        audience = peer.audience
        self._loop.add(peer)
        (self._seeing_all if audience.hears.others else self._own[audience.user_id]).add(peer)
        self._want_snapshot(peer)

    def _leave(self, peer: Peer) -> None:
        self.places.release(peer.audience.place)
        user_id = peer.audience.user_id
        self._seeing_all.discard(peer)
        self._own[user_id].discard(peer)
        if not self._own[user_id]:
            del self._own[user_id]

    def _deliver(self, user_id: str | None, datum: str, event: Frame) -> None:
        recipients = self._loop.peers if user_id is None else self._own.get(user_id, set()) | self._seeing_all
        for peer in recipients:
            if peer.audience.gets(user_id, datum):
                peer.offer(event)
                self._loop.touch(peer)

    def _want_snapshot(self, peer: Peer) -> None:
        peer.hold()
        self._queue_snapshot(peer, 1)

    def _refresh_all(self) -> None:
        for peer in self._loop.peers:
            self._want_snapshot(peer)

    def _release(self, peers: Iterable[Peer], snapshot: bytes, since: float, turn: int) -> None:
        """Send a snapshot, unless an event came while it was read: which of the two is newer is unknown then."""
        for peer in peers:
            if turn < SNAPSHOT_ROUNDS and peer.has_news(since):
                self._queue_snapshot(peer, turn + 1)
            else:
                peer.release(snapshot, since)
                self._loop.touch(peer)

    def _queue_snapshot(self, peer: Peer, turn: int) -> None:
        self._waiting.put((peer, turn))
        self._desk.put(self._take_snapshots)

    def _tick(self) -> None:
        if time.monotonic() < self._check_at:
            return
        self._check_at = float("inf")  # until this one has been answered
        credentials = {peer.audience.via for peer in self._loop.peers}
        self._desk.put(partial(self._check, [each for each in credentials if each is not None]))

    def _end_sessions(self, asked: Iterable[str], rights: Mapping[str, tuple[str, frozenset[str]]]) -> None:
        self._check_at = time.monotonic() + CHECK_SECONDS
        asked = frozenset(asked)
        for peer in self._loop.peers:
            via = peer.audience.via
            if via in asked and rights.get(via) != peer.audience.rights:
                peer.close(SESSION_ENDED, "session ended")
                self._loop.touch(peer)

    # On the desk's thread

    def _work(self) -> None:
        while True:
            job = self._desk.get()
            try:
                job()
            except Exception:  # a mistake about one snapshot must not end all later ones
                log.exception("relay.bug")

    def _take_snapshots(self) -> None:
        # Without Redis there are no changes to follow: its return brings a second snapshot.
        self._subscribed.wait(max(0.0, self._lost_at + REDIS_PATIENCE_SECONDS - time.monotonic()))
        groups: defaultdict[tuple[Any, ...], list[Peer]] = defaultdict(list)
        for peer, turn in _drain(self._waiting):
            groups[turn, peer.audience.snapshot_key].append(peer)
        for (turn, *_), peers in groups.items():
            self._take_snapshot(peers, turn)

    def _take_snapshot(self, peers: list[Peer], turn: int) -> None:
        since = time.monotonic()
        try:
            with self._runtime.unit_of_work() as db:
                data = self._snapshot(db, peers[0].audience)
        except SQLAlchemyError as error:
            log.critical("relay.database_lost", error=type(error).__name__)
            time.sleep(DATABASE_PAUSE_SECONDS)
            for peer in peers:
                self._queue_snapshot(peer, turn)
            return
        message = orjson.dumps(frame("snapshot", data, new_id("evt"), datetime.now(UTC)))
        self._after_events_so_far(partial(self._release, peers, text_frame(message), since, turn))

    def _after_events_so_far(self, then: Callable[[], None]) -> None:
        """Have the loop call something when it has got all events that Redis has taken until now.

        A snapshot may be ahead of events that are still on their way to us. A mark that is published behind them
        arrives behind them.
        """
        mark = new_id("mark")
        self._marks[mark] = then
        try:
            arrives = self._runtime.redis.publish(self._channel, mark) > 0
        except redis.RedisError:
            arrives = False
        if not arrives:
            self._pass(mark)

    def _pass(self, mark: str) -> None:
        then = self._marks.pop(mark, None)
        if then is not None:
            self._loop.call(then)

    def _pass_all(self) -> None:
        """Marks that were under way when the connection broke do not arrive any more."""
        for mark in list(self._marks):
            self._pass(mark)

    def _check(self, credentials: list[str]) -> None:
        """End the sockets of sessions and keys that ended; while the database is away nobody can end one."""
        rights: Mapping[str, tuple[str, frozenset[str]]] = {}
        answered: list[str] = []
        try:
            if credentials:
                with self._runtime.reading() as db:
                    rights = self._rights(db, credentials)
                answered = credentials
        except SQLAlchemyError as error:
            log.critical("relay.database_lost", error=type(error).__name__)
        finally:
            self._loop.call(self._end_sessions, answered, rights)

    # On the listener's thread

    def _listen(self) -> None:
        pause = 0.0
        while True:
            try:
                for message in self._messages():
                    pause = 0.0
                    if message["type"] == "psubscribe":
                        self._pass_all()
                        self._loop.call(self._refresh_all)
                        self._subscribed.set()
                    elif message["type"] == "message":
                        self._pass(message["data"].decode())
                    elif message["type"] == "pmessage":
                        self._relay(message["data"])
            except (redis.RedisError, OSError) as error:
                if pause == 0.0:
                    log.critical("relay.redis_lost", error=type(error).__name__)
            except Exception:  # a mistake here must not leave all sockets without events for good
                log.exception("relay.bug")
            if self._subscribed.is_set():
                self._lost_at = time.monotonic()
                self._subscribed.clear()
            self._pass_all()
            pause = min(2 * pause or 0.05, LONGEST_PAUSE_SECONDS)
            time.sleep(pause)

    def _messages(self) -> Iterator[Mapping[str, Any]]:
        """Subscribe, and yield what comes, until the connection is lost or silent."""
        with make_subscriber(self._runtime.settings) as client:
            # A connection that redis-py restores by itself would hide that events were missed.
            client.set_retry(Retry(NoBackoff(), 0))
            with client.pubsub() as subscription:
                subscription.subscribe(self._channel)
                subscription.psubscribe(CHANNEL_PATTERN)
                asked = True
                while True:
                    message = subscription.get_message(timeout=REDIS_PING_SECONDS)
                    if message is not None:
                        asked = False
                        yield message
                    elif asked:
                        raise redis.TimeoutError("no answer to the subscription or the last ping")
                    else:
                        subscription.ping()
                        asked = True

    def _relay(self, data: bytes) -> None:
        try:
            message = orjson.loads(data)
            user_id, datum, key = message["user"], message["datum"], message["key"]
            wire = text_frame(orjson.dumps(message["frame"]))
            event = Frame(wire, bool(message["passing"]) and key is not None, key, time.monotonic())
        except (ValueError, KeyError, TypeError):
            log.exception("relay.message_not_understood")
            return
        self._loop.call(self._deliver, user_id, datum, event)


class RelayOfProcess:
    """Makes the relay when the first socket of a process asks for it: threads do not survive a fork."""

    def __init__(self, make: Callable[[], Relay]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._relay: Relay | None = None
        self._pid = 0

    def get(self) -> Relay:
        """The relay of this process."""
        with self._lock:
            if self._relay is None or self._pid != os.getpid():
                self._relay, self._pid = self._make(), os.getpid()
                self._relay.start()
                atexit.register(self._relay.stop)
            return self._relay


def _drain(waiting: queue.SimpleQueue[tuple[Peer, int]]) -> Iterator[tuple[Peer, int]]:
    while True:
        try:
            yield waiting.get_nowait()
        except queue.Empty:
            return
