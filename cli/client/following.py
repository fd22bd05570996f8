"""Follows one download over the WebSocket until it ends, through lost connections and restarts of the server."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from cli.client.download_state import DownloadState, find
from cli.client.progress import Display
from cli.client.session.account import SavedAccount
from cli.client.session.server import USER_AGENT, Refused, Unreachable
from cli.errors import CommandError
from cli.interrupts import shielded
from cli.terminal import clean

TICK_SECONDS = 0.25
SILENCE_SECONDS = 15.0  # then we look ourselves: the socket may stand while the server has lost its Redis
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 15.0
PING_SECONDS = 10.0
MAX_FRAME = 16 * 1024 * 1024  # a snapshot has up to 500 downloads, each with a URL of up to 2000 characters
_SILENT = logging.Logger(
    "websockets", logging.CRITICAL + 1
)  # what happens to a connection is told in our words
_PASSING = frozenset({408, 425, 429})


class Following:
    """One download, followed.

    Attributes:
        state: the newest that is known.
    """

    def __init__(self, account: SavedAccount, state: DownloadState, display: Display) -> None:
        self.state = state
        self._account, self._display = account, display
        self._pause = PAUSE_SECONDS
        self._lost = self._doubted = False
        self._failed_attempt = state.attempt if state.status == "queued" else 0

    def until_end(self) -> DownloadState:
        """Show every state until the last one, and return it.

        Raises:
            CommandError: the session is over, or the download is gone.
        """
        self._display.show(self.state)
        while not self.state.ended:
            try:
                with self._opened() as socket:
                    self._listen(socket)
            except InvalidStatus as error:
                self._refused(error.response.status_code)
            except ConnectionClosed:
                self._interrupted("")
            except (OSError, WebSocketException, Unreachable) as error:
                self._interrupted(str(error))
            except Refused as error:
                if error.status == 404:
                    raise CommandError("the download was removed meanwhile") from None
                if error.status < 500 and error.status not in _PASSING:
                    raise
                self._interrupted(str(error))
        return self.state

    def _connect(self) -> ClientConnection:
        return connect(
            "ws" + self._account.server.url.removeprefix("http") + "/ws/authenticated",
            additional_headers={"Authorization": f"Bearer {self._account.token}"},
            user_agent_header=USER_AGENT,
            compression=None,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            close_timeout=1.0,
            max_size=MAX_FRAME,
            logger=_SILENT,
        )

    @contextmanager
    def _opened(self) -> Iterator[ClientConnection]:
        """A connection; a signal does not break into its end, which waits for another thread."""
        opened = self._connect()
        socket = opened.__enter__()
        try:
            yield socket
        finally:
            with shielded():
                opened.__exit__(None, None, None)

    def _listen(self, socket: ClientConnection) -> None:
        heard = time.monotonic()
        while not self.state.ended:
            try:
                with shielded():
                    frame = socket.recv(timeout=TICK_SECONDS)
                news = self._hear(json.loads(frame))
            except TimeoutError:
                news = None
            if news is None and time.monotonic() - heard > SILENCE_SECONDS:
                news = find(self._account, self.state.id)
            if news is not None:
                heard = time.monotonic()
                self._take(news)
            self._display.tick()

    def _hear(self, frame: Mapping[str, Any]) -> DownloadState | None:
        """What a frame says of our download, if it does."""
        event, data = frame["event"], frame["data"]
        if event == "snapshot":
            self._connected()
            rows = [row for row in data["downloads"] if row["id"] == self.state.id]
            # It lists neither what ended long ago nor more than 500.
            return DownloadState.of(rows[0]) if rows else find(self._account, self.state.id)
        ours = event.startswith("download:") and data["id"] == self.state.id
        return DownloadState.of(data) if ours else None

    def _take(self, state: DownloadState) -> None:
        if state.status == "queued" and state.error and state.attempt > self._failed_attempt:
            self._failed_attempt = state.attempt
            self._display.say(f"Attempt {state.attempt} failed: {state.error}")
        self.state = state
        self._display.show(state)

    def _connected(self) -> None:
        if self._lost:
            self._display.say("Connected again.")
        self._lost = self._doubted = False
        self._pause = PAUSE_SECONDS

    def _interrupted(self, reason: str) -> None:
        """Wait, each time longer, before the next connection."""
        if not self._lost:
            self._lost = True
            why = f" ({clean(reason)})" if reason else ""
            self._display.say(f"Connection lost{why}; the download goes on. Trying to connect again.")
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    def _refused(self, status: int) -> None:
        """Renew the token once; wait where the server may get well; else give up following."""
        if status == 401 and not self._doubted:
            self._doubted = True
            self._account.renew()
        elif status >= 500 or status in _PASSING:
            self._interrupted(f"the server answers {status}")
        else:
            raise CommandError(
                f"the download goes on, but the server does not let us follow it (status {status})"
            )
