"""A small Overseerr (or Seerr) over a real socket: requests, decisions, lists, users, and its faults.

In a test::

    with OverseerrDouble() as overseerr:
        overseerr.known["tv", 70523] = {"tvdb": 334824, "title": "Dark"}
        overseerr.made("movie", 949, by=overseerr.user(plex_id=12, name="bob"))   # by somebody there
        overseerr.fault = "403"                                                   # None: well again
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlsplit

FAULTS = ("503", "403", "429", "html", "odd", "reset", "hang")
PENDING, APPROVED, DECLINED, FAILED, COMPLETED = 1, 2, 3, 4, 5


class OverseerrDouble(AbstractContextManager["OverseerrDouble"]):
    """An Overseerr with the requests that were made there."""

    def __init__(self, key: str = "overseerr-key") -> None:
        self.key = key
        self.known: dict[tuple[str, int], dict[str, Any]] = {}
        self.requests: dict[int, dict[str, Any]] = {}
        self.users: list[dict[str, Any]] = [{"id": 1, "plexId": 1, "displayName": "owner"}]
        self.asked: list[tuple[str, str]] = []
        self.fault: str | None = None
        self.nothing_left = False  # it has everything already, and makes no request
        self.makes_nothing = False  # it makes no request, and has nothing either
        self.unknown: set[int] = set()  # titles that TMDB has dropped
        self.at_create: Callable[[], object] | None = None  # called while it makes a request
        self.has_4k = True
        self.approves_itself = True  # the key's user may approve
        self.dies_after: str | None = (
            None  # the connection ends behind what was done, such as "POST /request"
        )
        self._ids = count(10)
        self.lock = threading.Lock()
        self._over = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._answer(self, "GET")

            def do_POST(self) -> None:
                outer._answer(self, "POST")

            def do_DELETE(self) -> None:
                outer._answer(self, "DELETE")

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> OverseerrDouble:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def user(self, *, plex_id: int | None, name: str) -> dict[str, Any]:
        """Add somebody who has an account there."""
        self.users.append({"id": next(self._ids), "plexId": plex_id, "displayName": name})
        return self.users[-1]

    def made(
        self,
        kind: str,
        tmdb_id: int,
        *,
        by: dict[str, Any] | None = None,
        status: int = PENDING,
        seasons: tuple[int, ...] = (),
        media: int = 3,
    ) -> dict[str, Any]:
        """A request that somebody made there."""
        number = next(self._ids)
        self.requests[number] = {
            "id": number,
            "status": status,
            "type": kind,
            "is4k": False,
            "media": {"tmdbId": tmdb_id, "tvdbId": None, "mediaType": kind, "status": media, "status4k": 1},
            "seasons": [{"seasonNumber": one, "status": status} for one in seasons],
            "requestedBy": by or self.users[0],
        }
        return self.requests[number]

    def of(self, tmdb_id: int) -> list[dict[str, Any]]:
        """The requests of a title."""
        return [one for one in self.requests.values() if one["media"]["tmdbId"] == tmdb_id]

    def _answer(self, handler: BaseHTTPRequestHandler, method: str) -> None:
        parts = urlsplit(handler.path)
        path, query = parts.path.removeprefix("/api/v1"), dict(parse_qsl(parts.query))
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.asked.append((method, path))
        said = json.loads(body) if body else {}
        if self.fault == "hang":
            self._over.wait()
        if self.fault in {"reset", "hang"}:
            handler.close_connection = True
            handler.connection.close()
            return
        if self.fault is not None:
            status, raw = self._faulty()
        else:
            status, found = self._found(handler, method, path, query, said)
            raw = b"" if found is None else json.dumps(found).encode()
        if self.dies_after == f"{method} {path}":
            self.dies_after = None
            handler.close_connection = True
            handler.connection.close()
            return
        with suppress(OSError):
            handler.send_response(status)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(raw)))
            handler.end_headers()
            handler.wfile.write(raw)

    def _faulty(self) -> tuple[int, bytes]:
        if self.fault == "html":
            return 200, b"<html>login</html>"
        if self.fault == "odd":
            return 200, json.dumps({"results": "x", "id": [], "pageInfo": 5}).encode()
        return int(self.fault or 500), json.dumps({"message": "Something went wrong."}).encode()

    def _found(
        self,
        handler: BaseHTTPRequestHandler,
        method: str,
        path: str,
        query: dict[str, str],
        said: dict[str, Any],
    ) -> tuple[int, Any]:
        if path == "/settings/public":
            return 200, {"initialized": True, "movie4kEnabled": self.has_4k, "series4kEnabled": self.has_4k}
        if handler.headers.get("X-Api-Key") != self.key:
            return 403, {"status": 403, "error": "You do not have permission to access this endpoint"}
        words = path.strip("/").split("/")
        if words == ["request"] and method == "POST" and self.at_create is not None:
            self.at_create()
        with self.lock:
            if words == ["request"] and method == "POST":
                return self._created(said)
            if words == ["request"]:
                newest = sorted(self.requests.values(), key=lambda one: -one["id"])
                return 200, _page(newest, query)
            if words == ["request", "count"]:
                return 200, {"total": len(self.requests)}
            if words[0] == "request":
                return self._of_one(method, words)
            if words == ["user"]:
                return 200, _page(self.users, query)
            if words[0] in {"movie", "tv"}:
                return self._title(words[0], int(words[1]))
        return 404, {"message": "Not found"}

    def _created(self, said: dict[str, Any]) -> tuple[int, Any]:
        if self.nothing_left or self.makes_nothing:
            return 202, {"message": "No seasons available to request"}
        kind, tmdb_id = said["mediaType"], said["mediaId"]
        wanted = set(said.get("seasons") or ())
        for one in self.of(tmdb_id):
            there = {season["seasonNumber"] for season in one["seasons"]}
            if one["is4k"] != said.get("is4k", False) or one["status"] in {DECLINED, COMPLETED}:
                continue
            if kind == "movie":
                return 409, {"message": "Request for this media already exists."}
            wanted -= there
        if kind == "tv" and not wanted:
            return 202, {"message": "No seasons available to request"}
        by = next((user for user in self.users if user["id"] == said.get("userId")), None)
        status = APPROVED if self.approves_itself else PENDING
        made = self.made(kind, tmdb_id, by=by, status=status, seasons=tuple(sorted(wanted)))
        made["is4k"], made["media"]["tvdbId"] = said.get("is4k", False), said.get("tvdbId")
        return 201, made

    def _of_one(self, method: str, words: list[str]) -> tuple[int, Any]:
        one = self.requests.get(int(words[1]))
        if one is None:
            return 404, {"message": "Request not found."}
        if method == "DELETE":
            del self.requests[one["id"]]
            return 204, None
        if len(words) == 3:
            one["status"] = {"approve": APPROVED, "decline": DECLINED, "retry": APPROVED}[words[2]]
        return 200, one

    def _title(self, kind: str, tmdb_id: int) -> tuple[int, Any]:
        if tmdb_id in self.unknown:
            return 500, {"message": "Unable to retrieve this title."}
        known = self.known.get((kind, tmdb_id), {"title": f"Title {tmdb_id}", "tvdb": tmdb_id})
        requests = self.of(tmdb_id)
        plain = [{name: value for name, value in one.items() if name != "media"} for one in requests]
        media = 5 if self.nothing_left else 3
        info = {"tmdbId": tmdb_id, "mediaType": kind, "status": media, "status4k": 1, "requests": plain}
        name = {"title": known["title"]} if kind == "movie" else {"name": known["title"]}
        found = {"id": tmdb_id, **name, "externalIds": {"tvdbId": known.get("tvdb")}}
        return 200, found | ({"mediaInfo": info} if requests or self.nothing_left else {})


def _page(rows: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
    take, skip = int(query.get("take", "10")), int(query.get("skip", "0"))
    return {
        "pageInfo": {"pages": -(-len(rows) // take), "pageSize": take, "results": len(rows), "page": 1},
        "results": rows[skip : skip + take],
    }
