"""A real web process with sockets, a database and a Redis of its own, and people who listen at it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import websocket
from databases import databases_of
from factories import make_user
from flask import Flask
from stack import Stack, running

from api import extensions
from api.security.authentication import issue_access_token
from cli.embedded import EmbeddedRedis
from config.redis import make_redis
from config.settings import Settings
from engine.events import Event
from engine.identity import sessions
from engine.readers import DATA, Datum
from engine.runtime import Runtime


@dataclass
class Person:
    id: str
    login_id: str
    token: str


@dataclass
class House:
    """A web process with a database and a Redis of its own, and the sockets that were opened to it."""

    stack: Stack
    runtime: Runtime
    redis: EmbeddedRedis
    redis_life: ExitStack
    sockets: list[websocket.WebSocket] = field(default_factory=list)

    def person(self, role: str = "user") -> Person:
        settings = self.runtime.settings
        with self.runtime.unit_of_work() as db:
            user = make_user(db, role=role)
            device = sessions.Device(None, None)
            login = sessions.start(db, settings, user, remember_me=False, device=device).login
        app = Flask("tokens")
        extensions.init_app(app, extensions.Parts(self.runtime, None, print))  # type: ignore[arg-type]
        with app.app_context():
            return Person(user.id, login.id, issue_access_token(login.id, user.id))

    def open(self, path: str, person: Person | None = None, **options: Any) -> websocket.WebSocket:
        if person is not None:
            options["header"] = [f"Authorization: Bearer {person.token}"]
        url = self.stack.url.replace("http", "ws", 1) + path
        ws = websocket.create_connection(url, timeout=10, **options)
        self.sockets.append(ws)
        return ws

    def listen(self, path: str, person: Person | None = None, **options: Any) -> websocket.WebSocket:
        """Open a socket and wait until it is served: its snapshot is there."""
        ws = self.open(path, person, **options)
        assert hear(ws)["event"] == "snapshot"
        return ws

    def refused(self, path: str, **options: Any) -> tuple[int, str]:
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            self.open(path, **options)
        answer = json.loads(caught.value.resp_body)
        assert answer["success"] is False
        assert answer["correlationId"]
        return caught.value.status_code, answer["error"]["code"]

    def tell(self, name: str, user: Person | None, key: str | None = None, **data: Any) -> None:
        passing = name == "download:progress"
        user_id = None if user is None else user.id
        datum = datum_of(name, owned=user is not None)
        self.runtime.publish(Event(name, data, user_id, datum, passing=passing, key=key))


def datum_of(name: str, *, owned: bool) -> Datum:
    """What an event of this name tells of."""
    return next(each for each in DATA.values() if name.startswith(each.events) and each.owned is owned)


@contextmanager
def opened_house(postgres: str, folder: Path, **env: str) -> Iterator[House]:
    """A house in a folder; `env` overrides its settings."""
    folder.mkdir()
    with ExitStack() as life:
        database_url = life.enter_context(databases_of(postgres).lent())
        redis_life = life.enter_context(ExitStack())
        redis = EmbeddedRedis(folder / "redis")
        redis_url = redis_life.enter_context(redis.running())
        settings = Settings(
            app_env="development", data_dir=folder, download_dir=folder / "downloads", work_dir=folder / "work",
            database_url=database_url, redis_url=redis_url, secret_key="s" * 48,
        )  # fmt: skip
        runtime = Runtime(settings, make_redis(settings), lambda job: None)
        life.callback(runtime.database.close)
        life.callback(runtime.redis.close)
        usual = {"WEB_THREADS": "2", "FRONTEND_URL": "https://front.example.com"}
        web = Stack(folder, database_url, redis_url, **{**usual, **env})
        stack = life.enter_context(running(web))
        stack.start_web()
        yield House(stack, runtime, redis, redis_life)


def hear(ws: websocket.WebSocket) -> dict[str, Any]:
    """The next event; fails when the socket is closed instead, or nothing comes."""
    frame = ws.recv_frame()
    while frame.opcode == websocket.ABNF.OPCODE_PING:
        ws.pong(frame.data)
        frame = ws.recv_frame()
    assert frame.opcode == websocket.ABNF.OPCODE_TEXT, frame
    event: dict[str, Any] = json.loads(frame.data)
    assert set(event) == {"event", "data", "id", "at"}
    return event


def hear_until(ws: websocket.WebSocket, last: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    heard = [hear(ws)]
    while not last(heard[-1]):
        heard.append(hear(ws))
    return heard


def farewell(ws: websocket.WebSocket) -> int:
    """The code of the close frame, whatever comes before it."""
    while True:
        frame = ws.recv_frame()
        if frame.opcode == websocket.ABNF.OPCODE_CLOSE:
            return int(struct.unpack("!H", frame.data[:2])[0])
