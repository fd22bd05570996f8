"""Servers that say only what they must: no counts, no marks, XML here and nothing there. None of it costs an item."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select

from engine.clients.plex.discovery import examine
from engine.jobs.runner import run_next
from engine.plex.sync import runs as sync
from engine.plex.sync import work as sync_work
from engine.runtime import Runtime
from models.media import MediaItem
from models.sync_run import SyncRun


class PlainServer:
    """One library; tests change what it says. It lists the same whatever type is asked for."""

    def __init__(self) -> None:
        self.films = {str(key): f"Film {key}" for key in range(55, 59)}
        self.identity = '<MediaContainer size="0" machineIdentifier="plain" version="1.41.0.1"/>'
        self.kind, self.type = "application/json", "movie"
        self.collections = self.root = True
        self.totals = False
        self.mark: int | None = None
        plain = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                status, body = plain.answer(parts.path, parse_qs(parts.query), self.headers)
                self.send_response(status)
                self.send_header("Content-Type", plain.kind if status == 200 else "text/html")
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str, query: dict[str, list[str]], headers: object) -> tuple[int, str]:
        if path == "/identity":
            return 200, self.identity
        if path == "/" and self.root:
            return 200, container(friendlyName="Plain")
        if path == "/library/sections":
            mark = {} if self.mark is None else {"contentChangedAt": self.mark}
            return 200, container(Directory=[{"key": "1", "type": self.type, "title": "Films", **mark}])
        if path == "/library/sections/1/all":
            if headers["X-Plex-Container-Size"] == "0" or query.get("X-Plex-Container-Size") == ["0"]:  # type: ignore[index]
                return 200, container(size=0, **({"totalSize": len(self.films)} if self.totals else {}))
            listed = [film(*found, self.type) for found in self.films.items()]
            return 200, container(Metadata=listed, **({"totalSize": len(listed)} if self.totals else {}))
        if path == "/library/sections/1/collections" and self.collections:
            return 200, container(size=0)
        if path.startswith("/library/metadata/"):
            keys = path.rpartition("/")[2].split(",")
            found = [film(key, self.films[key], self.type) for key in keys if key in self.films]
            return 200, container(**({"Metadata": found} if found else {"size": 0}))
        return 404, "<html>404</html>"


def container(**fields: object) -> str:
    return json.dumps({"MediaContainer": fields})


def film(key: str, title: str, kind: str) -> dict[str, object]:
    return {"ratingKey": int(key), "type": kind, "title": title, "updatedAt": 1_600_000_000}


@pytest.fixture
def plain() -> Iterator[PlainServer]:
    found = PlainServer()
    thread = threading.Thread(target=found.server.serve_forever, daemon=True)
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


@pytest.fixture
def here(runtime: Runtime, plain: PlainServer) -> Runtime:
    changed = replace(runtime.settings, plex_url=plain.url, plex_token="t")
    runtime.live.environment = runtime.live.settings = changed
    return runtime


def synced(here: Runtime, *, full: bool = False) -> SyncRun:
    with here.unit_of_work() as db:
        run, _ = sync.start(db, full=full, trigger="manual")
    run_next(here, sync_work.SYNC, sync_work.work)
    with here.unit_of_work() as db:
        return sync.get(db, run.id)


def titles(here: Runtime) -> list[str]:
    with here.reading() as db:
        return sorted(db.scalars(select(MediaItem.title).where(MediaItem.deleted_at.is_(None))))


@pytest.mark.parametrize("kind", ["application/json", "text/html", "text/plain;charset=utf-8"])
@pytest.mark.parametrize("extras", [True, False])
def test_what_there_is_is_read(here: Runtime, plain: PlainServer, kind: str, extras: bool) -> None:
    plain.kind, plain.collections, plain.root = kind, extras, extras

    run = synced(here)

    assert (run.status, run.error, run.counts["created"]) == ("completed", None, 4)
    assert titles(here) == [f"Film {key}" for key in range(55, 59)]


@pytest.mark.parametrize("root", [True, False])
def test_such_a_server_can_be_connected(plain: PlainServer, root: bool) -> None:
    plain.root = root

    assert examine(plain.url, "t", "c").machine_id == "plain"


@pytest.mark.parametrize(("mark", "totals"), [(None, False), (None, True), (7, True)])
def test_what_was_removed_is_missed_by_the_next_sync_of_the_timetable(
    here: Runtime, plain: PlainServer, mark: int | None, totals: bool
) -> None:
    plain.mark, plain.totals = mark, totals
    synced(here)
    del plain.films["56"]

    run = synced(here)

    assert (run.status, run.counts["deleted"]) == ("completed", 1)
    assert titles(here) == ["Film 55", "Film 57", "Film 58"]


@pytest.mark.parametrize("totals", [False, True])
def test_items_of_another_type_than_was_asked_for_are_no_sign_of_change(
    here: Runtime, plain: PlainServer, totals: bool
) -> None:
    plain.type, plain.totals = "show", totals

    for created in (4, 0):
        (section,) = synced(here, full=True).sections
        assert (section["created"], section["complete"], section["note"]) == (created, True, None)
