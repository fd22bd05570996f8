"""The notification socket: what Plex pushes when something changes, to every client that is connected.

Of the states of a timeline entry, clients rely on three: 0 with `metadataState` "created", 5 without `metadataState` (done),
9 with "deleted". Those between them (1 queued, 2 matching, 3 loading, 4 processing) carry a `metadataState` of work in
progress and a `queueSize`. Ids are text, as of newer servers; `numeric_ids` makes them the numbers of older ones.
"""

from __future__ import annotations

import base64
import hashlib
import queue
import socket
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from tests.fakes.plex_server.items import TYPES, Account, Item, Section

_WORK = ((1, "queued"), (2, "matching"), (3, "loading"), (4, "processing"))
_LISTS = {
    "timeline": "TimelineEntry",
    "activity": "ActivityNotification",
    "playing": "PlaySessionStateNotification",
    "status": "StatusNotification",
    "progress": "ProgressNotification",
    "reachability": "ReachabilityNotification",
    "backgroundProcessingQueue": "BackgroundProcessingQueueEventNotification",
    "preference": "Setting",
}


def accept(key: str) -> str:
    """The answer to `Sec-WebSocket-Key` (RFC 6455, 4.2.2)."""
    return base64.b64encode(
        hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    ).decode()


class Listener:
    """One connected client: what is to be sent waits in a queue, so that a stalled one delays nobody."""

    def __init__(self, connection: socket.socket, account: Account) -> None:
        self.account = account
        self._socket = connection
        self._frames = Connection(ConnectionType.SERVER)
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._write, daemon=True).start()

    def put(self, message: bytes) -> None:
        """Send in turn."""
        self._waiting.put(message)

    def read(self, receive: Callable[[], bytes]) -> None:
        """Answer pings and a close until the client goes away."""
        try:
            while self._frames.state is ConnectionState.OPEN and (data := receive()):
                self._frames.receive_data(data)
                for event in self._frames.events():
                    if isinstance(event, Ping | CloseConnection):
                        with self._lock:
                            self._socket.sendall(self._frames.send(event.response()))
        except (OSError, ValueError, LocalProtocolError, RemoteProtocolError):
            pass
        finally:
            self.drop()

    def drop(self) -> None:
        """Cut the line without a closing frame."""
        self._waiting.put(None)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _write(self) -> None:
        while (message := self._waiting.get()) is not None:
            try:
                with self._lock:
                    self._socket.sendall(self._frames.send(TextMessage(message.decode())))
            except (OSError, LocalProtocolError):
                return


class Notifications:
    """All listeners of one server."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []  # every container so far
        self.numeric_ids = False
        self.silent = False  # True: changes happen without a word, as when a socket missed them
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()
        self._came = threading.Condition(self._lock)

    @property
    def count(self) -> int:
        """How many clients listen."""
        with self._lock:
            return len(self._listeners)

    def wait_listening(self, count: int = 1, timeout: float = 10.0) -> None:
        """Return once that many clients listen; AssertionError after `timeout` seconds."""
        with self._came:
            assert self._came.wait_for(lambda: len(self._listeners) >= count, timeout), "nobody listens"

    def listen(self, connection: socket.socket, account: Account, receive: Callable[[], bytes]) -> None:
        """Serve one client until it goes away."""
        listener = Listener(connection, account)
        with self._came:
            self._listeners.append(listener)
            self._came.notify_all()
        try:
            listener.read(receive)
        finally:
            with self._lock:
                self._listeners.remove(listener)

    def drop(self) -> None:
        """Cut all lines."""
        with self._lock:
            for listener in self._listeners:
                listener.drop()

    def send(self, kind: str, *entries: dict[str, Any]) -> None:
        """One container of that kind to everybody."""
        if self.silent:
            return
        said = {
            "type": kind,
            "size": len(entries),
            _LISTS.get(kind, f"{kind.title()}Notification"): list(entries),
        }
        body = orjson.dumps({"NotificationContainer": said})
        with self._lock:
            self.sent.append(said)
            for listener in self._listeners:
                listener.put(body)

    def raw(self, message: str) -> None:
        """Something else than a container, for clients that must not fall over it."""
        with self._lock:
            for listener in self._listeners:
                listener.put(message.encode())

    def changed(self, change: str, item: Item) -> None:
        """What Plex says when an item was created, changed or deleted."""
        if change == "deleted":
            self.timeline(item, 9, "deleted")
            return
        if change == "created":
            self.timeline(item, 0, "created")
        for state, word in _WORK:
            self.timeline(item, state, word, queueSize=1)
        self.timeline(item, 5)

    def timeline(self, item: Item, state: int, metadata_state: str | None = None, **more: Any) -> None:
        """One timeline entry."""
        shown = int if self.numeric_ids else str
        entry: dict[str, Any] = {
            "identifier": "com.plexapp.plugins.library",
            "sectionID": shown(item.section.key),
            "itemID": shown(item.id),
        }
        if item.parent is not None:
            entry |= {"parentItemID": shown(item.parent.id), "rootItemID": shown(item.root.id)}
        entry |= {"type": TYPES[item.kind], "title": item.title, "state": state, **more}
        if metadata_state:
            entry["metadataState"] = metadata_state
        self.send("timeline", {**entry, "updatedAt": item.updated_at})

    def activity(
        self, event: str, section: Section, activity: str | None = None, progress: int = 0, subtitle: str = ""
    ) -> str:
        """An activity of a section (`started`, `updated`, `ended`); its id, to be handed in again."""
        number = activity or str(uuid.uuid4())
        what = {
            "uuid": number,
            "type": "library.update.section",
            "cancellable": False,
            "userID": 1,
            "title": f"Scanning {section.title}",
        }
        what |= {
            "subtitle": subtitle,
            "progress": progress,
            "Context": {"librarySectionID": str(section.key)},
        }
        self.send("activity", {"event": event, "uuid": number, "Activity": what})
        return number

    def scan_complete(self, section: Section) -> None:
        """What follows a scan."""
        said = {
            "title": "Library scan complete",
            "description": f"The library {section.title} was scanned.",
            "notificationName": "LIBRARY_UPDATE",
        }
        self.send("status", said)

    def progress(self, message: str) -> None:
        """A line of progress of a scan."""
        self.send("progress", {"message": message})

    def playing(self, item: Item, session: str, client: str, state: str, offset: int) -> None:
        """The state of somebody's playback; `offset` in milliseconds."""
        said = {
            "sessionKey": session,
            "clientIdentifier": client,
            "guid": "",
            "ratingKey": item.rating_key,
            "url": "",
        }
        said |= {"key": f"/library/metadata/{item.id}"}
        self.send("playing", {**said, "viewOffset": offset, "playQueueItemID": 1, "state": state})

    def reachability(self, reachable: bool) -> None:
        """Whether the server is reached from outside."""
        self.send("reachability", {"reachability": reachable})

    def background_queue(self) -> None:
        """The queue of background work was made anew."""
        self.send("backgroundProcessingQueue", {"queueID": 1, "event": "queueRegenerated"})
