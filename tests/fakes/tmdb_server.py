"""A small TMDB over a real socket, in the shapes of version 3: lists, details, both kinds of tokens, and its faults.

In a test::

    with TmdbDouble() as tmdb:
        heat = tmdb.film("Heat", 1995, id=949, translations={"de": "Heat - Die Jagd"})
        show = tmdb.series("Dark", 2017, seasons={1: 10, 2: 8})
        opened(settings, tmdb_url=tmdb.url, tmdb_token=tmdb.token)
        tmdb.fault = "503"                         # see FAULTS; None: well again
        tmdb.asked                                 # (path, query) of each request, in order
"""

from __future__ import annotations

import hashlib
import json
import struct
import threading
import time
import zlib
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlsplit

FAULTS = ("503", "429", "html", "empty", "odd", "reset", "hang", "500", "401")
_ids = count(900_000)


@dataclass
class FakeTitle:
    """A film or series."""

    type: str
    title: str
    year: int
    id: int
    translations: dict[str, str] = field(default_factory=dict)
    alternative: list[str] = field(default_factory=list)
    seasons: dict[int, int] = field(default_factory=dict)
    aired: dict[int, int] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    imdb_id: str | None = None
    tvdb_id: int | None = None
    genres: list[dict[str, Any]] = field(default_factory=lambda: [{"id": 18, "name": "Drama"}])

    def entry(self, language: str) -> dict[str, Any]:
        """As lists have it."""
        film = self.type == "movie"
        return {
            "id": self.id,
            "media_type": self.type,
            ("title" if film else "name"): self.translations.get(language, self.title),
            ("original_title" if film else "original_name"): self.title,
            ("release_date" if film else "first_air_date"): f"{self.year}-03-01" if self.year else "",
            "overview": f"About {self.title}.",
            "poster_path": f"/poster{self.id}.jpg",
            "backdrop_path": None,
            "genre_ids": [genre["id"] for genre in self.genres],
            "original_language": "en",
            "vote_average": 7.9,
            "popularity": 50.5,
            "adult": False,
            **self.extra,
        }

    def details(self, language: str) -> dict[str, Any]:
        """With everything appended."""
        film = self.type == "movie"
        translations = [
            {
                "iso_639_1": each,
                "iso_3166_1": "XX",
                "data": {("title" if film else "name"): name, "overview": ""},
            }
            for each, name in self.translations.items()
        ]
        found = {
            **self.entry(language),
            "genres": self.genres,
            "runtime": 170 if film else None,
            "episode_run_time": [],
            "status": "Released" if film else "Ended",
            "external_ids": {"imdb_id": self.imdb_id, "tvdb_id": self.tvdb_id},
            "translations": {"translations": translations},
            "alternative_titles": {
                ("titles" if film else "results"): [{"title": one} for one in self.alternative]
            },
            "videos": {
                "results": [{"site": "YouTube", "key": "2GfZl4kuVNI", "type": "Trailer", "name": "Trailer"}]
            },
            "recommendations": {"results": []},
            "similar": {"results": []},
            **self.extra,
        }
        people = {
            "cast": [{"name": "Al Pacino", "character": "Vincent Hanna", "profile_path": "/al.jpg"}],
            "crew": [{"name": "Michael Mann", "job": "Director", "profile_path": None}],
        }
        found["credits" if film else "aggregate_credits"] = people
        if film:
            rated = {"iso_3166_1": "US", "release_dates": [{"certification": "R"}]}
            found["release_dates"] = {"results": [rated]}
            return found
        found["content_ratings"] = {"results": [{"iso_3166_1": "US", "rating": "TV-MA"}]}
        found["seasons"] = [
            {
                "season_number": number,
                "episode_count": episodes,
                "name": f"Season {number}",
                "air_date": "2017-12-01" if self.aired.get(number, episodes) else None,
                "poster_path": None,
            }
            for number, episodes in self.seasons.items()
        ]
        regular = {number: self.aired.get(number, n) for number, n in self.seasons.items() if number}
        last = max((number for number, aired in regular.items() if aired), default=None)
        found["last_episode_to_air"] = last and {"season_number": last, "episode_number": regular[last]}
        return found


class TmdbDouble(AbstractContextManager["TmdbDouble"]):
    """A TMDB with the titles that a test gives it."""

    def __init__(self, token: str = "ey.read.access.token") -> None:
        self.token = token
        self.key = "0123456789abcdef0123456789abcdef"
        self.titles: list[FakeTitle] = []
        self.people = 0  # strangers at the head of each multi search
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.pictures: list[str] = []
        self.languages: list[str] = []
        self.fault: str | None = None
        self.retry_after = "7"
        self.seconds = 0.0  # that each answer takes
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/3"
        self.image_url = self.url.removesuffix("/3") + "/t/p"

    def __enter__(self) -> TmdbDouble:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def film(self, title: str, year: int = 1995, **more: Any) -> FakeTitle:
        """Add a film."""
        return self._add("movie", title, year, more)

    def series(self, title: str, year: int = 2017, **more: Any) -> FakeTitle:
        """Add a series; `seasons` by number, how many episodes; `aired` of them, where not all were."""
        return self._add("tv", title, year, more)

    def _add(self, type_: str, title: str, year: int, more: dict[str, Any]) -> FakeTitle:
        found = FakeTitle(type_, title, year, more.pop("id", next(_ids)), **more)
        self.titles.append(found)
        return found

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        if parts.path.startswith("/t/p/"):
            self.pictures.append(parts.path)
            _send(handler, 200, {"Content-Type": "image/png"}, _picture(parts.path))
            return
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        path = parts.path.removeprefix("/3")
        proven = handler.headers.get("Authorization") == f"Bearer {self.token}" or (
            query.pop("api_key", None) == self.key
        )
        self.asked.append((path, query))
        time.sleep(self.seconds)
        status, body = self._found(path, query) if proven else (401, _error(7, "Invalid API key."))
        headers = {"Content-Type": "application/json;charset=utf-8"}
        raw = json.dumps(body).encode()
        if self.fault in {"503", "500", "401"}:
            status, raw = int(self.fault), json.dumps(_error(9, "Service offline.")).encode()
        elif self.fault == "429":
            status, raw = 429, json.dumps(_error(25, "Over the allowed limit.")).encode()
            headers["Retry-After"] = self.retry_after
        elif self.fault == "html":
            raw, headers["Content-Type"] = b"<html><body>502 Bad Gateway</body></html>", "text/html"
        elif self.fault == "empty":
            raw = b""
        elif self.fault == "odd":
            raw = json.dumps({"results": {"a": 1}, "id": "x", "page": []}).encode()
        elif self.fault == "hang":
            time.sleep(20)
        elif self.fault == "reset":
            handler.close_connection = True
            handler.connection.close()
            return
        _send(handler, status, headers, raw)

    def _found(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        language = query.get("language", "en")
        words = path.strip("/").split("/")
        if words == ["configuration"]:
            return 200, {"images": {"secure_base_url": "https://image.tmdb.org/t/p/"}}
        if words[0] == "search":
            return 200, self._page(self._searched(words[1], query), query, language)
        if words[0] == "trending" or words[-1] in {"popular", "upcoming", "on_the_air"}:
            kind = words[1] if words[0] == "trending" else words[0]
            some = [title for title in self.titles if kind in {"all", title.type}]
            return 200, self._page([title.entry(language) for title in some], query, language)
        for title in self.titles:
            if words == [title.type, str(title.id)]:
                return 200, title.details(language)
        return 404, _error(34, "The resource you requested could not be found.")

    def _searched(self, kind: str, query: dict[str, str]) -> list[dict[str, Any]]:
        wanted = query.get("query", "").casefold()
        year = query.get("primary_release_year") or query.get("first_air_date_year")
        found = [
            title.entry(query.get("language", "en"))
            for title in self.titles
            if kind in {"multi", title.type}
            and any(
                wanted in name.casefold()
                for name in (title.title, *title.translations.values(), *title.alternative)
            )
            and (year is None or str(title.year) == year)
        ]
        strangers = [
            {"id": number, "media_type": "person", "name": "Somebody"} for number in range(1, self.people + 1)
        ]
        return [*strangers, *found] if kind == "multi" else found

    def _page(self, entries: list[dict[str, Any]], query: dict[str, str], language: str) -> dict[str, Any]:
        self.languages.append(language)
        number = int(query.get("page", "1"))
        return {
            "page": number,
            "results": entries[(number - 1) * 20 : number * 20],
            "total_pages": -(-len(entries) // 20),
            "total_results": len(entries),
        }


def _send(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], raw: bytes) -> None:
    with suppress(OSError):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(raw)))
        handler.end_headers()
        handler.wfile.write(raw)


def _picture(path: str) -> bytes:
    """A picture of one colour, which follows from its path."""
    colour = bytes(64 + part % 128 for part in hashlib.sha256(path.encode()).digest()[:3])
    width, height = 20, 30

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + colour * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def _error(code: int, message: str) -> dict[str, Any]:
    return {"success": False, "status_code": code, "status_message": message}
