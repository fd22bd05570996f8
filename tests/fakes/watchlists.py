"""Plex's watchlist service over a real socket, in the shapes that it was recorded with, in JSON or XML."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from tests.fakes.plextv import Seen, Service, error

PATH = "/library/sections/watchlist/all"


class FakeWatchlists(Service):
    """The watchlists of people, by their tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.lists: dict[str, list[dict[str, Any]]] = {}
        self.ids: dict[str, list[str]] = {}  # by rating key
        self.gone: set[str] = set()  # rating keys that the catalogue does not have any more
        self.refused: set[str] = set()  # tokens that hold no longer
        self.totals = True
        self.xml = False
        self.retry_after: int | None = None  # seconds in which it answers 429 to all

    def put(self, token: str, kind: str, title: str, year: int, tmdb_id: int | None = None) -> str:
        """Put a film or series on top of a list; returns its rating key."""
        key = secrets.token_hex(12)
        self.ids[key] = ["imdb://tt0000001", *([f"tmdb://{tmdb_id}"] if tmdb_id else [])]
        path = f"/library/metadata/{key}"
        entry = {"ratingKey": key, "key": path, "guid": f"plex://{kind}/{key}", "type": kind}
        self.lists.setdefault(token, []).insert(
            0, {**entry, "title": title, "year": year, "userState": False}
        )
        return key

    def asked(self, path: str) -> list[Seen]:
        """The requests for paths that begin so."""
        return [seen for seen in self.seen if seen.path.startswith(path)]

    def answer(self, seen: Seen) -> tuple[int, Any] | tuple[int, Any, dict[str, str]]:
        if self.retry_after is not None:
            return 429, error(1003, "Too Many Requests", 429), {"Retry-After": str(self.retry_after)}
        token = seen.headers.get("x-plex-token", "")
        if token in self.refused or token not in self.lists:
            return 401, error(1001, "User could not be authenticated", 401)
        match seen.method, seen.path.strip("/").split("/"):
            case "GET", ["library", "sections", "watchlist", "all"]:
                return self._listing(self.lists[token], seen)
            case "GET", ["library", "metadata", key]:
                return self._details(key)
        return 404, error(1, "Not Found", 404)

    def _listing(
        self, entries: list[dict[str, Any]], seen: Seen
    ) -> tuple[int, Any] | tuple[int, Any, dict[str, str]]:
        start, size = (int(seen.query[f"X-Plex-Container-{name}"]) for name in ("Start", "Size"))
        part = entries[start : start + size]
        total = {"totalSize": len(entries)} if self.totals else {}
        head = {"librarySectionID": "watchlist", "librarySectionTitle": "Watchlist", "offset": start}
        body = self._written({**head, **total, "size": len(part)}, part)
        etag = f'W/"{hashlib.sha256(repr(body).encode()).hexdigest()[:20]}"'
        if seen.headers.get("if-none-match") == etag:
            return 304, b"", {"ETag": etag}
        return 200, body, {"ETag": etag}

    def _details(self, key: str) -> tuple[int, Any]:
        found = next(
            (entry for each in self.lists.values() for entry in each if entry["ratingKey"] == key), None
        )
        if found is None or key in self.gone:
            return 404, error(1, "Not Found", 404)
        ids = [{"id": one} for one in self.ids[key]]
        return 200, self._written({"size": 1}, [{**found, "Guid": ids}])

    def _written(self, head: dict[str, Any], entries: list[dict[str, Any]]) -> Any:
        if not self.xml:
            return {"MediaContainer": {**head, "Metadata": entries}}
        root = Element("MediaContainer", {name: str(value) for name, value in head.items()})
        for entry in entries:
            plain = {name: str(value) for name, value in entry.items() if not isinstance(value, list)}
            shown = SubElement(root, "Video" if entry["type"] == "movie" else "Directory", plain)
            for each in entry.get("Guid", []):
                SubElement(shown, "Guid", each)
        return tostring(root, encoding="utf-8", xml_declaration=True)
